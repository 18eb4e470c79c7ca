# SPDX-License-Identifier: GPL-2.0
"""That nothing costs more than it did: ratios to AF_INET in one boot, which repeat, beside
the checked-in ones."""

import json
import re

import goals
import report
import vm

BASELINE = f"{vm.HERE}/baseline.json"
# How much above the checked-in ratio is too much.
TOLERANCE = 0.03
BOOTS = 3


def measure():
    """The ratios today."""
    what = " ".join(row.partition("/")[2] for row in goals.GUARDED)
    lines, _ = vm.boot(f"bench rows lo 3 25 pure {what}")
    return {line.goal.row: line.ratio for line in report.lines(vm.samples(lines))}


def update():
    """Takes today's ratios as those to keep: the largest of some boots, whose secrets of hash
    tables and port searches differ."""
    boots = [measure() for _ in range(BOOTS)]
    worst = {row: round(max(boot[row] for boot in boots), 4) for row in boots[0]}
    with open(BASELINE, "w", encoding="utf-8") as file:
        json.dump(worst, file, indent=1)
        file.write("\n")
    return 0


def main():
    """Compares, as KTAP."""
    with open(BASELINE, encoding="utf-8") as file:
        baseline = json.load(file)
    print("TAP version 13")
    print(f"1..{len(baseline)}", flush=True)
    now = measure()
    failed = 0
    for i, (row, was) in enumerate(baseline.items(), 1):
        ratio = now.get(row, float("inf"))
        good = ratio <= was * (1 + TOLERANCE)
        failed += not good
        print(f"# {row}: {ratio:.4f} of AF_INET's instructions, checked in: {was:.4f}")
        name = re.sub("[^a-z0-9]", "_", row.partition("/")[2])
        print(f"{'ok' if good else 'not ok'} {i} bench.{name}_costs_no_more_than_it_did")
    return 1 if failed else 0
