# SPDX-License-Identifier: GPL-2.0
"""Java: the class library's HTTP server and client, sockets, channels."""

import glob
import os
import subprocess

from harness.ends import SERVER, Failure, fewer, patience
from harness.program import MIB, Program as Base

APPS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "apps")
PORT = 8080
# As little of a compiler as can be, which an emulated machine is slow at. Java's
# sockets are IPv6's unless it is told otherwise.
FLAGS = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m"]
IPV4 = "-Djava.net.preferIPv4Stack=true"


class Program(Base):
    name = "java"

    def prepare(self):
        self.bin = sorted(glob.glob("/usr/lib/jvm/*/bin/javac"))[-1].removesuffix("/javac")
        sources = [f"{APPS}/Server.java", f"{APPS}/Client.java"]
        flags = [f"-J{flag}" for flag in FLAGS]
        subprocess.run(
            [f"{self.bin}/javac", *flags, "-proc:none", "-d", self.work, *sources],
            check=True,
            timeout=patience(60),
        )

    def java(self, name):
        return [f"{self.bin}/java", *FLAGS, IPV4, "-cp", self.work, name, SERVER, str(PORT)]

    def start(self, ends):
        ends.start("java", self.java("Server"), PORT, limit=120)

    def ask(self, ends, what, count):
        said = ends.client([*self.java("Client"), what, str(count)], limit=150)
        if said != "done\n":
            raise Failure(said + ends.stderr)

    def test_http(self, ends):
        self.ask(ends, "http", fewer(1000, 32))

    def test_sockets(self, ends):
        self.ask(ends, "sockets", fewer(300, 16))

    def test_channel(self, ends):
        self.ask(ends, "channel", fewer(32 * MIB, MIB))
