# SPDX-License-Identifier: GPL-2.0
"""nginx, asked by curl and by wrk."""

import os
import re
import signal

from harness.ends import SERVER, Failure, fewer
from harness.program import MIB, Program as Base, sha256, write_file

CONFIG = """
daemon off;
user root;
worker_processes 2;
pid {work}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_max_body_size 1g;
    client_body_temp_path {work}/body;
    proxy_temp_path {work}/proxy;
    fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi;
    scgi_temp_path {work}/scgi;
    server {{
        listen {address}:80 backlog=511 deferred so_keepalive=10s:5s:3;
        root {root};
        location /put/ {{
            dav_methods PUT;
            create_full_put_path on;
        }}
    }}
}}
"""
SIZE = 100 * MIB
REQUESTS = 10000


class Program(Base):
    name = "nginx"

    def prepare(self):
        self.root = self.path("root")
        os.makedirs(f"{self.root}/put")
        self.digest = write_file(f"{self.root}/large", SIZE)
        with open(f"{self.root}/small", "w", encoding="utf-8") as file:
            file.write("a small page\n" * 40)

    def start(self, ends):
        config = os.path.join(ends.work, "nginx.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(work=ends.work, root=self.root, address=SERVER))
        ends.start("nginx", ["nginx", "-e", "stderr", "-p", ends.work, "-c", config], 80)

    def test_file_by_sendfile(self, ends):
        got = self.path("got")
        ends.client(["curl", "-sSf", "-o", got, f"http://{SERVER}/large"], limit=90)
        if sha256(got) != self.digest:
            raise Failure(f"{os.path.getsize(got)} bytes with another SHA-256")
        os.unlink(got)

    def test_upload(self, ends):
        put = f"{self.root}/put/large"
        source = f"{self.root}/large"
        ends.client(["curl", "-sSf", "-T", source, f"http://{SERVER}/put/large"], limit=90)
        if sha256(put) != self.digest:
            raise Failure(f"{os.path.getsize(put)} bytes with another SHA-256")
        os.unlink(put)

    def test_ranges(self, ends):
        """Parts of a file, over one connection."""
        parts = 20
        length = SIZE // parts
        command = ["curl", "-sSf"]
        for i in range(parts):
            command += ["--next"] if i else []
            command += ["-sSf", "-r", f"{i * length}-{(i + 1) * length - 1}", "-o", self.path(f"part{i}")]
            command += [f"http://{SERVER}/large"]
        ends.client(command, limit=90)
        whole = self.path("whole")
        with open(whole, "wb") as file:
            for i in range(parts):
                with open(self.path(f"part{i}"), "rb") as part:
                    file.write(part.read())
                os.unlink(self.path(f"part{i}"))
        if sha256(whole) != self.digest:
            raise Failure("the parts do not make the whole")
        os.unlink(whole)

    def wrk(self, ends, *options):
        """Requests by 16 connections, until there were enough, and no error."""
        wanted = fewer(REQUESTS, 200)
        done = 0
        while done < wanted:
            command = ["wrk", "-t", "2", "-c", "16", "-d", "4s", "--timeout", "30s"]
            said = ends.client([*command, *options, f"http://{SERVER}/small"], limit=60)
            found = re.search(r"(\d+) requests in", said)
            if not found or int(found.group(1)) == 0:
                raise Failure(f"wrk made no request; it said:\n{said}")
            if "Socket errors" in said or "Non-2xx" in said:
                raise Failure(f"wrk met errors; it said:\n{said}")
            done += int(found.group(1))

    def test_requests_keep_alive(self, ends):
        self.wrk(ends)

    def test_requests_closing(self, ends):
        self.wrk(ends, "-H", "Connection: close")

    def test_reload(self, ends):
        """New workers take the listener over; the old ones close theirs."""
        ends.processes[0].process.send_signal(signal.SIGHUP)
        said = ends.client(["curl", "-sSf"] + [f"http://{SERVER}/small"] * 100)
        if said.count("a small page") != 4000:
            raise Failure(f"{said.count('a small page')} lines of 4000")
