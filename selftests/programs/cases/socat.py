# SPDX-License-Identifier: GPL-2.0
"""socat: an echo server, half-closed connections, a relay."""

import hashlib
import os

from harness.ends import CLIENT, SERVER, Failure, fewer
from harness.program import MIB, Program as Base, sha256, write_file

ECHO = 7000
SINK = 7001
RELAY = 7002


class Program(Base):
    name = "socat"

    def prepare(self):
        self.file = self.path("file")
        self.digest = write_file(self.file, fewer(32 * MIB, MIB))

    def start(self, ends):
        listen = f"TCP4-LISTEN:{{}},bind={SERVER},fork,reuseaddr,backlog=100"
        ends.start("echo", ["socat", "-t", "60", listen.format(ECHO), "EXEC:cat"], ECHO)

    def echo(self, ends, address):
        with open(self.file, "rb") as file:
            back = ends.client(["socat", "-t", "60", "-", address], stdin=file, text=False)
        if hashlib.sha256(back).hexdigest() != self.digest:
            raise Failure(f"{len(back)} bytes came back, with another SHA-256")

    def test_echo_after_half_close(self, ends):
        self.echo(ends, f"TCP4:{SERVER}:{ECHO}")

    def test_options(self, ends):
        options = "nodelay,keepalive,sndbuf=65536,rcvbuf=65536,mss=900,tos=16,ttl=9,linger=5"
        self.echo(ends, f"TCP4:{SERVER}:{ECHO},{options}")

    def test_many_connections(self, ends):
        for i in range(fewer(30)):
            word = f"word {i}\n".encode()
            said = ends.client(["socat", "-t", "30", "-", f"TCP4:{SERVER}:{ECHO}"], input=word, text=False)
            if said != word:
                raise Failure(f"{said!r} came back, not {word!r}")

    def test_one_way(self, ends):
        got = os.path.join(ends.work, "got")
        listen = f"TCP4-LISTEN:{SINK},bind={SERVER},reuseaddr"
        sink = ends.start("sink", ["socat", "-u", listen, f"CREATE:{got}"], SINK)
        ends.client(["socat", "-u", f"FILE:{self.file}", f"TCP4:{SERVER}:{SINK}"])
        ends.processes.remove(sink)
        if sink.process.wait(30) != 0 or sha256(got) != self.digest:
            raise Failure("the file did not come whole")

    def test_relay(self, ends):
        """A relay at the client's end, from its own listener to the server."""
        listen = f"TCP4-LISTEN:{RELAY},bind={CLIENT},fork,reuseaddr"
        relay = ["socat", "-t", "60", listen, f"TCP4:{SERVER}:{ECHO}"]
        relay = ends.start("relay", relay, RELAY, ends.client_end)
        self.echo(ends, f"TCP4:{CLIENT}:{RELAY}")
        relay.stop()
        ends.processes.remove(relay)
