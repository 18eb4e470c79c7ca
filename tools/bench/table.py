# SPDX-License-Identifier: GPL-2.0
"""The table of `make bench`: what is measured, in which virtual machine."""

import hashlib
import json
import os
import subprocess
import time

import goals
import report
import stacks
import vm

CPU = "max,-erms,-fsrm"  # as tools/vm/run sets it
MANY = 100000
FLOWS = (2, 8)

ABOUT = r"""
echo "text kernel $(uname -r) $(uname -v)"
offloads() {
	wanted='([rt]x-checksumming|scatter-gather|[a-z]+-(segmentation|receive)-offload)'
	echo "text offloads of $1:" $(ethtool -k $1 | sed -nE "s/^$wanted: (on|off).*/\1 \3,/p")
}
"""
PRESENCE = """
for turn in 1 2 3; do
	rmmod oxtcp
	echo without
	bench rows lo 3 100 inet request-response
	insmod "$OXTCP_TOP/oxtcp.ko"
	echo with
	bench rows lo 3 100 inet request-response
done
"""


class Results:
    """What came out of the parts."""

    def __init__(self, quick):
        self.quick = quick
        self.rounds, self.percent = (3, 50) if quick else (7, 100)
        self.samples, self.extra, self.texts, self.notes, self.walls = [], [], [], set(), {}
        self.stacks = {}

    def take(self, lines, counts=()):
        """The samples and remarks among the lines."""
        found = vm.samples(lines, counts)
        self.samples += found
        self.texts += [line[5:].rstrip(", ") for line in lines if line.startswith("text ")]
        self.notes |= {line[5:] for line in lines if line.startswith("note ")}
        return found


def loopback(results):
    """Both families and mixed ends over loopback; AF_INET with and without the module."""
    sides = "pure" if results.quick else "all"
    lines, _ = vm.boot(
        f"{ABOUT}offloads lo\nbench rows lo {results.rounds} {results.percent} {sides}\n{PRESENCE}"
    )
    cut = lines.index("without")
    results.take(lines[:cut])
    found, where = {"with": [], "without": []}, None
    for line in lines[cut:]:
        if line in found:
            where = found[line]
        elif line.startswith("sample "):
            where.append(vm.Sample(line.split()[1:]).each())
    results.extra.append(
        report.Line(goals.PRESENCE, "transaction", found["with"], found["without"])
    )


def veth(results):
    """A pair of devices between two namespaces; memory; a flooded listener."""
    lines, _ = vm.boot(
        f"{ABOUT}ip link add bench0 type veth peer name bench1\noffloads bench0\n"
        f"bench rows veth {results.rounds} {results.percent} pure\n"
        f"bench memory {1000 if results.quick else 5000}\nbench flood {results.rounds}"
    )
    results.take(lines)


def many(results):
    """A transaction with many connections open, to one with few."""
    lines, _ = vm.boot(f"bench scale {MANY}", ["--mem", "3G"], timeout=1200)
    samples = vm.samples(lines)
    for goal, sides in ((goals.SCALE, "oxtcp"), (goals.SCALE_INET, "inet")):
        costs = [
            report.costs(samples, f"scale/{among}-connections", sides) for among in ("many", "few")
        ]
        results.extra.append(report.Line(goal, "transaction", *costs))


def cards(results, kind):
    """Two cards on one wire. The processor sleeps between, and the time it sleeps is no
    instruction: only the plugin's count will do."""
    script = "for card in /sys/class/net/e*; do offloads ${card##*/}; done\n"
    lines, counts = vm.boot(
        f"{ABOUT}{script}bench rows nic {results.rounds} {results.percent} pure",
        ["--nic", kind],
        plugin=True,
        timeout=600,
    )
    for sample in results.take(lines, counts):
        sample.row = sample.row.replace("nic/", f"{kind}/")
        sample.value = sample.user + sample.kernel


def others(results):
    """Other stacks in oxtcp's place."""
    results.stacks = stacks.measured(results.rounds)


def wall(results):
    """Bytes a second of several flows on two processors."""
    for flows in FLOWS:
        lines, _ = vm.boot(f"bench wall {flows} 5", ["--smp", "2"], counted=False)
        best = results.walls.setdefault(flows, {})
        for line in lines:
            words = line.split()
            if words[:1] == ["wall"]:
                best.setdefault(words[2], []).append(int(words[3]) / int(words[4]))


PARTS = {
    "lo": loopback,
    "veth": veth,
    "many": many,
    "e1000e": lambda results: cards(results, "e1000e"),
    "virtio": lambda results: cards(results, "virtio"),
    "stacks": others,
    "wall": wall,
}
QUICK = ["lo", "veth"]


def digest(path):
    """A name for what is in a file."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]


def said(*command):
    """The first line that a command prints."""
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False).stdout
    return out.split("\n")[0].strip()


def facts(texts):
    """What the figures hold for."""
    cache = os.environ.get("OXTCP_CACHE") or os.path.expanduser("~/.cache/oxtcp")
    return {
        "commit": said("git", "-C", vm.TOP, "describe", "--always", "--dirty"),
        "module sha256": digest(f"{vm.TOP}/oxtcp.ko"),
        "kernel config sha256": digest(f"{cache}/kernel/.config"),
        "cpu": CPU,
        "icount": "shift=0,sleep=off,align=off, one processor",
        "qemu": said("qemu-system-x86_64", "--version"),
        "guest": list(dict.fromkeys(texts)),
    }


def show(results, found, told):
    """Prints it all."""
    print("oxtcp beside AF_INET: instructions for one transaction, connection, SYN or KiB;"
          " memory in bytes")
    for name, value in told.items():
        for line in value if isinstance(value, list) else [f"{name} {value}"]:
            print(f"  {line}")
    print("\n" + report.table(found))
    mixed = report.mixed_table(found)
    if mixed:
        print("\n" + mixed)
    if results.stacks:
        print("\n" + stacks.table(results.stacks))
    for flows, best in results.walls.items():
        ours, theirs = max(best["oxtcp"]), max(best["inet"])
        print(f"\n{flows} flows, two processors, time on the wall, best of {len(best['oxtcp'])}:"
              f" oxtcp {ours:.0f} MB/s, AF_INET {theirs:.0f} MB/s, {ours / theirs:.2f} times")
    for note in sorted(results.notes):
        print(f"note: {note}")


def main(words):
    """`quick` and names of parts; all parts where none is named."""
    begun = time.monotonic()
    results = Results("quick" in words)
    parts = [word for word in words if word != "quick"] or (QUICK if results.quick else list(PARTS))
    for part in parts:
        vm.say(f"bench: {part}")
        PARTS[part](results)
    told = facts(results.texts)
    found = report.lines(results.samples) + results.extra
    show(results, found, told)
    with open(f"{vm.TOP}/bench.json", "w", encoding="utf-8") as file:
        json.dump(
            {
                "facts": told,
                "rows": report.as_json(found),
                "stacks": results.stacks,
                "wall_bytes_per_us": results.walls,
                "notes": sorted(results.notes),
            },
            file,
            indent=1,
        )
    with open(f"{vm.TOP}/bench.svg", "w", encoding="utf-8") as file:
        caption = f"{told['commit']}; instructions under QEMU's -icount, -cpu {CPU}"
        file.write(report.chart(found, caption))
    vm.say(f"bench: bench.json, bench.svg; {time.monotonic() - begun:.0f} s")
    return 0
