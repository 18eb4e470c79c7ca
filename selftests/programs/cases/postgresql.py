# SPDX-License-Identifier: GPL-2.0
"""PostgreSQL: pgbench in its several ways, and a large copy each way."""

import glob
import hashlib
import os
import subprocess

from harness.ends import SERVER, Failure, fewer, patience
from harness.program import Program as Base

PORT = 5432
# PostgreSQL does not run as root, and nobody is on every machine.
USER = 65534
ROWS = 16384


class Program(Base):
    name = "postgresql"

    def prepare(self):
        self.bin = sorted(glob.glob("/usr/lib/postgresql/*/bin"))[-1]
        self.data = self.path("data")
        command = [f"{self.bin}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust"]
        command += ["-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"]
        done = subprocess.run(
            command,
            user=USER,
            group=USER,
            extra_groups=[],
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=patience(60),
        )
        if done.returncode != 0:
            raise Failure(f"initdb: {done.stdout}")
        with open(f"{self.data}/pg_hba.conf", "a", encoding="utf-8") as file:
            file.write("host all all 10.9.0.0/24 trust\n")
        with open(f"{self.data}/postgresql.conf", "a", encoding="utf-8") as file:
            file.write(
                f"listen_addresses = '{SERVER}'\nport = {PORT}\nfsync = off\n"
                f"unix_socket_directories = '{self.work}'\nmax_connections = 50\n"
                "tcp_keepalives_idle = 20\ntcp_user_timeout = 60000\njit = off\n"
            )

    def start(self, ends):
        # `ip netns exec` needs root: the user changes after it.
        change = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
        server = [f"{self.bin}/postgres", "-D", self.data]
        ends.start("postgres", [*change, *server], PORT, limit=120)
        self.psql(ends, "-c", "drop database if exists bench", database="postgres")
        self.psql(ends, "-c", "create database bench", database="postgres")
        self.pgbench(ends, "-i", "-s", "1", "-q")

    def words(self, program):
        return [f"{self.bin}/{program}", "-h", SERVER, "-p", str(PORT), "-U", "postgres"]

    def psql(self, ends, *options, database="bench", **more):
        command = [*self.words("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        return ends.client([*command, *options, database], limit=120, **more)

    def pgbench(self, ends, *options):
        return ends.client([*self.words("pgbench"), *options, "bench"], limit=180)

    def transactions(self, ends, clients, each, *options):
        each = fewer(each, 2)
        said = self.pgbench(ends, "-n", "-c", str(clients), "-t", str(each), *options)
        wanted = f"actually processed: {clients * each}/{clients * each}"
        if wanted not in said or "failed transactions: 0 " not in said:
            raise Failure(f"pgbench did not do {clients * each} transactions:\n{said}")

    def test_transactions(self, ends):
        self.transactions(ends, 8, 100, "-j", "2")

    def test_prepared_selects(self, ends):
        self.transactions(ends, 8, 500, "-S", "-M", "prepared")

    def test_a_connection_each(self, ends):
        self.transactions(ends, 4, 25, "-S", "-C")

    def test_copy_out_and_in(self, ends):
        """16 MiB to the client and back."""
        rows = fewer(ROWS, 1024)
        line = "select md5(i::text) || repeat('x', 991) from generate_series(1, {}) i"
        out = self.psql(ends, "-c", f"copy ({line.format(rows)}) to stdout", text=False)
        good = hashlib.sha256()
        for i in range(1, rows + 1):
            good.update(hashlib.md5(str(i).encode()).hexdigest().encode() + b"x" * 991 + b"\n")
        if hashlib.sha256(out).digest() != good.digest():
            raise Failure(f"{len(out)} bytes came, with another SHA-256")
        path = os.path.join(ends.work, "rows")
        with open(path, "wb") as file:
            file.write(out)
        self.psql(ends, "-c", "create table copied (line text)")
        with open(path, "rb") as file:
            self.psql(ends, "-c", "copy copied from stdin", stdin=file)
        sums = self.psql(ends, "-c", "select count(*), sum(length(line)) from copied").strip()
        if sums != f"{rows}|{rows * 1023}":
            raise Failure(f"the server has {sums} of what was sent")

    def test_listen_and_notify(self, ends):
        """A message to a session that waits, on its idle connection."""
        said = self.psql(ends, "-c", "listen news", "-c", "notify news, 'now'", "-c", "select 1")
        if 'payload "now"' not in said:
            raise Failure(f"psql was told: {said}")
