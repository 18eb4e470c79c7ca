# SPDX-License-Identifier: GPL-2.0
"""Goodput and latency over roads that lose packets, and shares of a narrow one: oxtcp beside
AF_INET with CUBIC."""

import json
import math
import statistics

import vm

LOSS = (0.1, 1, 3, 5)  # percent
RTT = (1, 20, 100)  # ms
RATE = 100e6  # bit/s, as guest/road.c sets it
MSS = 1448
SHARE_ROUNDS = 2
# RTT, loss, whether a stream of AF_INET is on the same road, and how many requests a round
LATENCY = [(1, 1, "alone", 400), (20, 0.1, "alone", 400), (20, 1, "alone", 400),
           (20, 5, "alone", 400), (100, 1, "alone", 400), (1, 0, "beside", 200),
           (20, 0, "beside", 60), (100, 0, "beside", 20)]
PERCENTILES = (50, 90, 99)


def amount(rtt, loss):
    """Bytes that take Reno some seconds at this loss (RFC 9438, 5.1.1)."""
    rate = min(RATE, 1.22 * MSS * 8 / (rtt / 1e3 * math.sqrt(loss / 100)))
    return int(min(max(2 * rate, 1 << 20), 8 << 20))


def goodput(lines):
    """{(rtt, loss): {family: [Mbit/s]}}, and the cells whose bytes were not those sent."""
    found, wrong = {}, set()
    for line in lines:
        words = line.split()
        if words[:1] != ["goodput"]:
            continue
        cell = float(words[1]), float(words[2])
        rates = found.setdefault(cell, {})
        rates.setdefault(words[3], []).append(int(words[4]) * 8 / int(words[5]))
        if words[6] != "exact":
            wrong.add(cell)
    return found, wrong


def shares(lines):
    """{rtt: [(oxtcp's share of all, Jain's index)]}"""
    found = {}
    for line in lines:
        words = line.split()
        if words[:1] != ["share"]:
            continue
        got = [(words[i], int(words[i + 1])) for i in range(2, len(words), 2)]
        total = sum(n for _, n in got)
        ours = sum(n for name, n in got if name == "oxtcp") / total
        jain = total**2 / (len(got) * sum(n * n for _, n in got))
        found.setdefault(float(words[1]), []).append((ours, jain))
    return found


def latency(lines):
    """{(rtt, loss, road): {family: [ms], sorted}}"""
    found = {}
    for line in lines:
        words = line.split()
        if words[:1] == ["latency"]:
            times = found.setdefault((float(words[1]), float(words[2]), words[3]), {})
            times.setdefault(words[4], []).extend(int(us) / 1e3 for us in words[5:])
    return {cell: {name: sorted(t) for name, t in times.items()} for cell, times in found.items()}


def percentile(times, percent):
    """Of sorted times, the one that so many are not above."""
    return times[min(len(times), math.ceil(len(times) * percent / 100)) - 1]


def show_latency(found):
    """The table; its cells for a file."""
    print("A request of 10 KiB and its answer of one byte, ms; the same losses, or beside a"
          " stream of AF_INET")
    print(f"{'RTT ms':>6} {'loss %':>6} {'':7}"
          + "".join(f"{f'{p:g} %':>17}" for p in PERCENTILES) + "   oxtcp, AF_INET")
    cells = []
    for (rtt, loss, road), times in found.items():
        shown = {name: [percentile(t, p) for p in PERCENTILES] for name, t in times.items()}
        print(f"{rtt:6g} {loss:6g} {road:7}" + "".join(
            f"{ours:8.1f} {theirs:8.1f}" for ours, theirs in zip(shown["oxtcp"], shown["inet"])))
        cells.append({"rtt_ms": rtt, "loss_percent": loss, "road": road,
                      "percentiles": PERCENTILES, "ms": shown})
    return cells


def show_goodput(found, wrong):
    """The table; its cells for a file."""
    print("Goodput in Mbit/s, median (least .. most); veth with netem, 100 Mbit/s, no offloads")
    print(f"{'RTT ms':>6} {'loss %':>6} {'oxtcp':>27} {'AF_INET, CUBIC':>27} {'ratio':>6} SHA-256")
    cells = []
    for cell, rates in found.items():
        middle = {name: statistics.median(r) for name, r in rates.items()}
        ratio = middle["oxtcp"] / middle["inet"]
        shown = [
            f"{middle[name]:8.2f} ({min(rates[name]):7.2f} ..{max(rates[name]):7.2f})"
            for name in ("oxtcp", "inet")
        ]
        exact = "WRONG" if cell in wrong else "exact"
        print(f"{cell[0]:6g} {cell[1]:6g} {shown[0]:>27} {shown[1]:>27} {ratio:6.2f} {exact}")
        cells.append({"rtt_ms": cell[0], "loss_percent": cell[1], "mbit_s": rates,
                      "ratio": ratio, "sha256": exact})
    fast = sum(c["ratio"] >= 1 for c in cells)
    print(f"oxtcp is at least as fast in {fast} of {len(cells)} cells")
    return cells


def main(rounds):
    """Prints the tables, writes bench-netem.json; 1 when bytes arrived that were not sent."""
    script = [
        f"bench goodput {rtt} {loss} {amount(rtt, loss)} {rounds}" for rtt in RTT for loss in LOSS
    ]
    lines, _ = vm.boot("\n".join(script), timeout=900)
    found, wrong = goodput(lines)
    cells = show_goodput(found, wrong)
    script = [
        f"bench latency {rtt} {loss} {road} {times} {rounds}" for rtt, loss, road, times in LATENCY
    ]
    lines, _ = vm.boot("\n".join(script), timeout=900)
    print()
    late = show_latency(latency(lines))
    lines, _ = vm.boot("\n".join(f"bench share {rtt} 1 {SHARE_ROUNDS}" for rtt in RTT), timeout=900)
    split = shares(lines)
    print("\nOne flow of each through 100 Mbit/s for 15 s: oxtcp's share, Jain's index")
    for rtt, got in split.items():
        print(f"{rtt:6g} ms  " + "  ".join(f"{ours:.2f} {jain:.2f}" for ours, jain in got))
    with open(f"{vm.TOP}/bench-netem.json", "w", encoding="utf-8") as file:
        json.dump({"goodput": cells, "latency": late, "share": split}, file, indent=1)
    return 1 if wrong or not cells else 0
