# SPDX-License-Identifier: GPL-2.0
"""Two ends of a wire, each in a network namespace of its own, and programs that
run there on one of the two families."""

import os
import signal
import subprocess
import time

SERVER = "10.9.0.1"
CLIENT = "10.9.0.2"
INET = "inet"
OXTCP = "oxtcp"
LISTEN = "0A"
TIME_WAIT = "06"


class Failure(Exception):
    """What a case says when it fails; the text is for a person."""


def run(*command):
    """A command of set-up: its failure is ours."""
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def wait_for(what, condition, limit=30):
    """Waits until `condition` holds and returns what it returned."""
    end = time.monotonic() + patience(limit)
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure(f"waited {patience(limit):.0f} s for {what}")
        time.sleep(0.02)


# By how much the kernel is slower than the plain one.
SLOW = float(os.environ.get("PROGRAMS_SLOW", "1"))


def patience(seconds):
    """A time limit: `seconds` are enough where nothing else runs, which a machine that
    builds meanwhile is not."""
    return 4 * SLOW * seconds


def shown(command):
    """A command for a person to read."""
    text = " ".join(command)
    return text if len(text) < 200 else f"{text[:200]}..."


def fewer(count, least=1):
    """How much work to do: less on the debug kernel."""
    return max(least, int(count / SLOW))


class Process:
    """A server that runs until it is stopped; its output is in a file."""

    def __init__(self, name, command, log, **options):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )
        self.pid = self.process.pid

    def check(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.name} ended by itself with {self.process.returncode}")

    def stop(self, signum=signal.SIGTERM, limit=30):
        """Ends it as an administrator would; one that does not end is a failure."""
        if self.process.poll() is not None:
            raise Failure(f"{self.name} had ended by itself with {self.process.returncode}")
        os.kill(self.pid, signum)
        try:
            self.process.wait(patience(limit))
        except subprocess.TimeoutExpired:
            raise Failure(f"{self.name} does not end") from None
        finally:
            # What it left behind in its session.
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


class End:
    """One side: a namespace, and the family of the programs there."""

    def __init__(self, name, family):
        self.name = name
        self.family = family
        run("ip", "netns", "add", name)
        run("ip", "-n", name, "link", "set", "lo", "up")
        # Keeps a process there, whose /proc/PID/net shows the namespace's.
        self.holder = subprocess.Popen(
            self.command(["sleep", "infinity"], INET), stdin=subprocess.DEVNULL
        )
        outside = os.readlink("/proc/self/ns/net")
        wait_for(
            f"namespace {name}",
            lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != outside,
        )
        self.counted = self.opens()

    def command(self, command, family=None):
        family = family or self.family
        inside = ["ip", "netns", "exec", self.name]
        return inside + (["oxtcp", "run", "--"] if family == OXTCP else []) + command

    def net(self, name):
        """A file of the namespace's /proc/net; empty when there is none."""
        try:
            return read(f"/proc/{self.holder.pid}/net/{name}")
        except FileNotFoundError:
            return ""

    def opens(self):
        """Connections opened actively and passively so far, by family."""
        heads, values = [
            line.split()[1:] for line in self.net("snmp").splitlines() if line.startswith("Tcp:")
        ]
        inet = dict(zip(heads, values))
        oxtcp = dict(line.split() for line in self.net("oxtcp_stat").splitlines())
        return {
            (family, what): int(counters.get(what, 0))
            for family, counters in ((INET, inet), (OXTCP, oxtcp))
            for what in ("ActiveOpens", "PassiveOpens")
        }

    def sockets(self, family):
        """Local address, port and state of each socket."""
        table = self.net("oxtcp" if family == OXTCP else "tcp")
        rows = [line.split() for line in table.splitlines()[1:]]
        return [(*row[1].split(":"), row[3]) for row in rows]

    def listens(self, port):
        wanted = f"{port:04X}"
        return any(
            number == wanted and state == LISTEN
            for _, number, state in self.sockets(self.family)
        )

    def close(self):
        self.holder.kill()
        self.holder.wait()
        run("ip", "netns", "del", self.name)


class Ends:
    """Both sides, joined by a veth pair."""

    def __init__(self, server, client, work):
        self.work = work
        self.processes = []
        self.server_end = End("server", server)
        self.client_end = End("client", client)
        run("ip", "-n", "server", "link", "add", "wire", "type", "veth",
            "peer", "name", "wire", "netns", "client")
        for end, address in (("server", SERVER), ("client", CLIENT)):
            run("ip", "-n", end, "address", "add", f"{address}/24", "dev", "wire")
            run("ip", "-n", end, "link", "set", "wire", "up")

    def start(self, name, command, port, end=None, limit=60, **options):
        """Starts a server, by default at the server's end; returns when it listens."""
        end = end or self.server_end
        process = Process(name, end.command(command), os.path.join(self.work, f"{name}.log"), **options)
        self.processes.append(process)

        def ready():
            process.check()
            return end.listens(port)

        wait_for(f"{name} to listen on port {port} of {end.family}", ready, limit)
        return process

    def client(self, command, limit=60, end=None, **options):
        """Runs a program at the client's end to its end; returns its output."""
        end = end or self.client_end
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            del options["stdin"]
        text = options.pop("text", True)
        try:
            done = subprocess.run(
                end.command(command),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                timeout=patience(limit),
                **options,
            )
        except subprocess.TimeoutExpired as late:
            said = (late.stdout or b"") + (late.stderr or b"")
            raise Failure(
                f"{shown(command)}: not done after {patience(limit):.0f} s; it said:\n"
                + said.decode(errors="replace")
            ) from None
        if done.returncode != 0:
            raise Failure(
                f"{shown(command)}: exit status {done.returncode}; it said:\n"
                + (done.stdout[-4000:] + done.stderr[-4000:]).decode(errors="replace")
            )
        self.stderr = done.stderr.decode(errors="replace")
        return done.stdout.decode(errors="replace") if text else done.stdout

    def check_families(self):
        """Since the last call connections were opened, by the families meant and no
        other."""
        for end, what in ((self.server_end, "PassiveOpens"), (self.client_end, "ActiveOpens")):
            before, end.counted = end.counted, end.opens()
            other = INET if end.family == OXTCP else OXTCP
            if end.counted[end.family, what] == before[end.family, what]:
                raise Failure(f"no {what} of {end.family} at the {end.name}'s end")
            if end.counted[other, what] != before[other, what]:
                raise Failure(f"{what} of {other} at the {end.name}'s end: not meant")

    def stop(self):
        """Ends the servers, last started first."""
        wrong = []
        while self.processes:
            try:
                self.processes.pop().stop()
            except Failure as failure:
                wrong.append(str(failure))
        if wrong:
            raise Failure("; ".join(wrong))

    def check_empty(self):
        """All sockets go, but for TIME-WAIT."""

        def left():
            return [
                f"{end.name}: {address}:{int(port, 16)} in state {state}"
                for end in (self.server_end, self.client_end)
                for family in (INET, OXTCP)
                for address, port, state in end.sockets(family)
                if state != TIME_WAIT
            ]

        try:
            wait_for("the sockets to go", lambda: not left(), 20)
        except Failure:
            raise Failure("sockets are left:\n" + "\n".join(left())) from None

    def close(self):
        for process in self.processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.process.wait()
        self.client_end.close()
        self.server_end.close()

    def logs(self):
        """The end of what each server said."""
        for name in sorted(os.listdir(self.work)):
            if name.endswith(".log"):
                lines = read(os.path.join(self.work, name)).splitlines()
                for line in lines[-20:]:
                    yield f"{name}: {line}"
