# SPDX-License-Identifier: GPL-2.0
"""Node's http, server and client."""

import os

from harness.ends import SERVER, Failure, fewer
from harness.program import MIB, Program as Base

APPS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "apps")
PORT = 8080


class Program(Base):
    name = "node"

    def start(self, ends):
        ends.start("node", ["/usr/bin/node", f"{APPS}/server.js", SERVER, str(PORT)], PORT, limit=90)

    def ask(self, ends, what, count):
        command = ["/usr/bin/node", f"{APPS}/client.js", SERVER, str(PORT), what, str(count)]
        said = ends.client(command, limit=120)
        if said != "done\n":
            raise Failure(said + ends.stderr)

    def test_requests_keep_alive(self, ends):
        self.ask(ends, "requests", fewer(2000, 50))

    def test_requests_closing(self, ends):
        self.ask(ends, "closing", fewer(500, 20))

    def test_echo(self, ends):
        self.ask(ends, "echo", fewer(32 * MIB, MIB))

    def test_bytes(self, ends):
        self.ask(ends, "bytes", fewer(64 * MIB, MIB))
