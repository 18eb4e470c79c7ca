# SPDX-License-Identifier: GPL-2.0
"""openssh: sessions, scp of a large file each way, a forwarded port."""

import os

from harness.ends import CLIENT, SERVER, Failure, fewer, run
from harness.program import MIB, Program as Base, sha256, write_file

PORT = 2222
FORWARDED = 2280
SIZE = 100 * MIB
CONFIG = """
Port {port}
AddressFamily inet
ListenAddress {address}
HostKey {work}/host
AuthorizedKeysFile {work}/user.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 50
Subsystem sftp internal-sftp
"""


class Program(Base):
    name = "openssh"

    def prepare(self):
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        for key in ("host", "user"):
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.path(key))
        self.file = self.path("large")
        self.digest = write_file(self.file, max(MIB, fewer(SIZE)))
        text = CONFIG.format(port=PORT, address=SERVER, work=self.work)
        with open(self.path("sshd_config"), "w", encoding="utf-8") as file:
            file.write(text)

    def start(self, ends):
        # The server starts itself again for each connection, by its whole path.
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", self.path("sshd_config")]
        ends.start("sshd", command, PORT)

    def options(self):
        words = ["-F", "none", "-i", self.path("user"), "-o", "BatchMode=yes"]
        words += ["-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
        return [*words, "-o", f"UserKnownHostsFile={self.path('known')}"]

    def ssh(self, *words):
        return ["ssh", *self.options(), "-p", str(PORT), f"root@{SERVER}", *words]

    def test_sessions(self, ends):
        for i in range(fewer(5)):
            said = ends.client(self.ssh(f"echo here {i}; echo $SSH_CONNECTION"))
            here, connection = said.splitlines()
            if here != f"here {i}":
                raise Failure(f"the other side said {said}")
            client, _, server, port = connection.split()
            if (client, server, port) != (CLIENT, SERVER, str(PORT)):
                raise Failure(f"the addresses are {connection}")

    def test_exit_status_and_standard_input(self, ends):
        said = ends.client(
            ["sh", "-c", '"$@"; echo "status $?"', "sh", *self.ssh("cat; exit 7")], input=b"input\n"
        )
        if said != "input\nstatus 7\n":
            raise Failure(f"said: {said!r}")

    def test_scp_there(self, ends):
        got = os.path.join(ends.work, "there")
        command = ["scp", "-q", *self.options(), "-P", str(PORT)]
        ends.client([*command, self.file, f"root@{SERVER}:{got}"], limit=120)
        if sha256(got) != self.digest:
            raise Failure("another SHA-256")
        os.unlink(got)

    def test_scp_back(self, ends):
        got = os.path.join(ends.work, "back")
        command = ["scp", "-q", *self.options(), "-P", str(PORT)]
        ends.client([*command, f"root@{SERVER}:{self.file}", got], limit=120)
        if sha256(got) != self.digest:
            raise Failure("another SHA-256")
        os.unlink(got)

    def test_forwarded_port(self, ends):
        """Bytes through two connections: to ssh's own listener, and on to sshd's."""
        forward = f"{CLIENT}:{FORWARDED}:{SERVER}:{PORT}"
        command = self.ssh()
        command[1:1] = ["-N", "-4", "-L", forward, "-o", "ExitOnForwardFailure=yes"]
        tunnel = ends.start("tunnel", command, FORWARDED, ends.client_end)
        # Through the tunnel to the same sshd: its banner, and a session.
        inner = ["ssh", *self.options(), "-p", str(FORWARDED), f"root@{CLIENT}", "echo through"]
        said = ends.client(inner)
        tunnel.stop()
        ends.processes.remove(tunnel)
        if said != "through\n":
            raise Failure(f"the inner session said {said!r}")
