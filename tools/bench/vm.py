# SPDX-License-Identifier: GPL-2.0
"""Runs the benchmark's program in the virtual machine and reads what it prints."""

import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
PROGRAM = f"{HERE}/build/oxbench"
PLUGIN = f"{HERE}/build/count.so"


class Sample:
    """One count: `value` of so many `units`, and by the plugin, what was executed where."""

    def __init__(self, words):
        self.row, self.sides = words[0], words[1]
        self.value, self.units, self.unit = int(words[2]), int(words[3]), words[4]
        self.user = self.kernel = None
        self.where = {}  # address of a piece of code: (instructions, times it was entered)

    def each(self):
        """What one unit costs."""
        return self.value / self.units


def say(text):
    """A word on what is going on, apart from the results."""
    print(text, file=sys.stderr, flush=True)


def boot(script, options=(), counted=True, plugin=False, timeout=280):
    """Boots, runs the lines of a shell script, where `bench` is the program, and yields
    the lines it prints; with the plugin, each `sample` line gets its counts."""
    with tempfile.TemporaryDirectory(prefix="oxtcp-bench.") as work:
        where = f"{work}/counts"
        command = [f"{TOP}/tools/vm/run", "--timeout", str(timeout), *options]
        if counted:
            command.append("--icount")
        if plugin:
            command += ["--plugin", f"{PLUGIN},out={where}"]
        # From memory: what waits for the host's files would be counted as time.
        script = f"set -e\ncp {PROGRAM} /run/oxbench\nbench() {{ /run/oxbench \"$@\"; }}\n{script}"
        process = subprocess.run(
            command + ["--", "sh", "-c", script],
            cwd=TOP,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if process.returncode:
            sys.stdout.write(process.stdout)
            sys.exit(f"bench: the virtual machine's run failed ({process.returncode})")
        lines = process.stdout.splitlines()
        counts = read_counts(where) if plugin else []
    return lines, counts


def read_counts(path):
    """The plugin's file: (user, kernel, {address: (instructions, times)}) of each sample."""
    counts = []
    with open(path, encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[0] == "sample":
                counts.append((int(words[1]), int(words[2]), {}))
            else:
                address = int(words[0], 16)
                where = counts[-1][2]
                before = where.get(address, (0, 0))
                where[address] = (before[0] + int(words[1]), before[1] + int(words[2]))
    return counts


def samples(lines, counts=()):
    """The samples among the lines, in order."""
    found = [Sample(line.split()[1:]) for line in lines if line.startswith("sample ")]
    if counts:
        if len(counts) != len(found):
            sys.exit(f"bench: {len(found)} samples, but the plugin saw {len(counts)}")
        for sample, (user, kernel, where) in zip(found, counts):
            sample.user, sample.kernel, sample.where = user, kernel, where
    return found
