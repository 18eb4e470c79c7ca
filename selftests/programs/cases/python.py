# SPDX-License-Identifier: GPL-2.0
"""Python's asyncio, and its http.server, which is threads and blocking sockets."""

import os

from harness.ends import SERVER, Failure, fewer
from harness.program import MIB, Program as Base, sha256, write_file

APPS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "apps")
PYTHON = ["/usr/bin/python3", "-B"]
ECHO = 7000
HTTP = 8000


class Program(Base):
    name = "python"

    def prepare(self):
        os.mkdir(self.path("root"))
        self.digest = write_file(self.path("root/file"), fewer(32 * MIB, MIB))

    def start(self, ends):
        ends.start("echo", [*PYTHON, f"{APPS}/echo_server.py", SERVER, str(ECHO)], ECHO)
        http = ["-u", "-m", "http.server", "--bind", SERVER, "-d", self.path("root"), str(HTTP)]
        ends.start("http", [*PYTHON, *http], HTTP)

    def echo(self, ends, connections, size):
        command = [*PYTHON, f"{APPS}/echo_client.py", SERVER, str(ECHO)]
        said = ends.client([*command, str(connections), str(size)], limit=120)
        if said != f"{connections} done\n":
            raise Failure(said + ends.stderr)

    def test_asyncio_connections(self, ends):
        self.echo(ends, fewer(300, 10), 20000)

    def test_asyncio_bulk(self, ends):
        self.echo(ends, 4, fewer(8 * MIB, MIB))

    def test_urllib(self, ends):
        got = os.path.join(ends.work, "got")
        code = "import sys, urllib.request as r; r.urlretrieve(sys.argv[1], sys.argv[2])"
        ends.client([*PYTHON, "-c", code, f"http://{SERVER}:{HTTP}/file", got])
        if sha256(got) != self.digest:
            raise Failure("another SHA-256")
