# SPDX-License-Identifier: GPL-2.0
"""What a program's file in `cases` is made of."""

import hashlib
import os

MIB = 1 << 20


class Program:
    """A program, and what is done with it.

    Every method `test_NAME(ends)` is a case, which fails by an exception; it is run
    in each direction, after `start` and before the servers are stopped.
    """

    name = ""

    def __init__(self, work):
        # A folder that any user may write to, and that is gone with the VM.
        self.work = work

    def prepare(self):
        """What is done once, and serves all directions."""

    def start(self, ends):
        """Starts the servers."""
        raise NotImplementedError

    @classmethod
    def cases(cls):
        names = [name for name in vars(cls) if name.startswith("test_")]
        return [name.removeprefix("test_") for name in names]

    def path(self, name):
        return os.path.join(self.work, name)


def write_file(path, size):
    """Writes bytes of which no two 64 KiB are the same; returns their SHA-256."""
    block = os.urandom(64 << 10)
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for at in range(0, size, len(block)):
            piece = (at.to_bytes(8, "big") + block[8:])[: size - at]
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
