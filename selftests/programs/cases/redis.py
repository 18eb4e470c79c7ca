# SPDX-License-Identifier: GPL-2.0
"""redis: its benchmark, and a replica."""

import os

from harness.ends import CLIENT, SERVER, Failure, fewer, wait_for
from harness.program import Program as Base

PORT = 6379


class Program(Base):
    name = "redis"

    def redis(self, ends, name, address, end):
        place = os.path.join(ends.work, name)
        os.mkdir(place)
        command = ["redis-server", "--bind", address, "--port", str(PORT), "--dir", place]
        command += ["--protected-mode", "no", "--save", "", "--repl-diskless-sync-delay", "0"]
        return ends.start(name, command, PORT, end)

    def start(self, ends):
        self.redis(ends, "redis", SERVER, ends.server_end)

    def benchmark(self, ends, requests, tests, *options):
        command = ["redis-benchmark", "-h", SERVER, "-n", str(fewer(requests, 50)), "--csv"]
        said = ends.client([*command, "-t", ",".join(tests), *options], limit=120)
        lines = said.splitlines()
        if len(lines) < 1 + len(tests) or "rror" in said + ends.stderr:
            raise Failure(f"redis-benchmark: {said}{ends.stderr}")

    def test_benchmark(self, ends):
        tests = ["ping_mbulk", "set", "get", "incr", "lpush", "rpop", "hset", "mset"]
        self.benchmark(ends, 10000, tests, "-c", "50")

    def test_pipelined(self, ends):
        self.benchmark(ends, 100000, ["set", "get"], "-c", "20", "-P", "32")

    def test_large_values(self, ends):
        self.benchmark(ends, 500, ["set", "get"], "-d", str(256 << 10), "-c", "10")

    def test_a_connection_each(self, ends):
        self.benchmark(ends, 3000, ["ping_mbulk"], "-c", "20", "-k", "0")

    def cli(self, ends, *words, address=SERVER, **options):
        return ends.client(["redis-cli", "-h", address, *words], **options).strip()

    def test_replica(self, ends):
        """A second server at the client's end copies the first, then follows it."""
        self.cli(ends, "flushall")
        # 16 MiB in 1,024 keys: the copy is more than any buffer.
        fill = "for i=1,1024 do redis.call('set', 'key'..i, string.rep('x', 16384)) end"
        self.cli(ends, "eval", fill, "0")
        replica = self.redis(ends, "replica", CLIENT, ends.client_end)
        # redis-cli of the other family would count as a client of the server's.
        self.cli(ends, "replicaof", SERVER, str(PORT), address=CLIENT)

        def caught_up():
            text = self.cli(ends, "info", "replication", address=CLIENT)
            return "master_link_status:up" in text

        wait_for("the replica to have copied", caught_up, 60)
        self.cli(ends, "set", "last", "word")
        wait_for(
            "the replica to follow",
            lambda: self.cli(ends, "get", "last", address=CLIENT) == "word",
        )
        sizes = [self.cli(ends, "dbsize", address=address) for address in (SERVER, CLIENT)]
        replica.stop()
        ends.processes.remove(replica)
        if sizes[0] != sizes[1]:
            raise Failure(f"{sizes[1]} keys in the replica, {sizes[0]} in the first")
