# SPDX-License-Identifier: GPL-2.0
"""Where a row's instructions go.

perf is of no use in the virtual machine (TCG has no counters), and sampling by a
timer is coarse. QEMU's translator can count instead: the plugin (plugin/count.c) adds
up how often each block of code ran between the benchmark's marks, exactly, and what
it yields are instructions, the unit of the table.
"""

import os

import symbols
import vm


def counted(samples, sides, names):
    """{function: [instructions, calls]} for a unit."""
    total, units = {}, 0
    for sample in samples:
        if sample.sides != sides:
            continue
        units += sample.units
        for address, (count, times) in sample.where.items():
            key, starts = names.at(address)
            entry = total.setdefault(key, [0, 0])
            entry[0] += count
            entry[1] += times if starts else 0
    return {key: [n / units for n in entry] for key, entry in total.items()}


def groups(functions, names):
    """The same by group."""
    found = dict.fromkeys(symbols.GROUPS, 0.0)
    for (name, module), (count, _) in functions.items():
        found[names.group(name, module)] += count
    return found


def split(lines):
    """The module's symbols out of a run's lines."""
    return [line for line in lines if line.endswith("[oxtcp]")]


def names_for(lines):
    """Functions of the kernel that ran, and of the module as it was loaded."""
    cache = os.environ.get("OXTCP_CACHE") or os.path.expanduser("~/.cache/oxtcp")
    return symbols.Symbols(os.path.realpath(f"{cache}/kernel"), split(lines))


KALLSYMS = "grep '\\[oxtcp\\]' /proc/kallsyms"


def show(samples, names, top=45):
    """Both sides, by group and by function."""
    found = {sides: counted(samples, sides, names) for sides in ("oxtcp", "inet")}
    by_group = {sides: groups(found[sides], names) for sides in found}
    unit = samples[0].unit
    print(f"{samples[0].row}: instructions for one {unit}")
    print(f"{'group':20} {'oxtcp':>9} {'AF_INET':>9}")
    for group in symbols.GROUPS:
        print(f"{group:20} {by_group['oxtcp'][group]:9.1f} {by_group['inet'][group]:9.1f}")
    ours, theirs = (sum(by_group[sides].values()) for sides in ("oxtcp", "inet"))
    print(f"{'all':20} {ours:9.1f} {theirs:9.1f}")
    for sides, title in (("oxtcp", "oxtcp"), ("inet", "AF_INET")):
        print(f"\n{title}, by function: instructions, calls")
        ranked = sorted(found[sides].items(), key=lambda item: -item[1][0])
        for (name, module), (count, calls) in ranked[:top]:
            where = f" [{module}]" if module else ""
            print(f"{count:9.1f} {calls:7.2f}  {names.group(name, module):17} {name[:100]}{where}")
    return by_group


def main(rows):
    """`rows` as bench.json names them, such as lo/request-response; of one road."""
    road = rows[0].partition("/")[0]
    options, plan = [], "bench flood 3"
    if road != "tun":
        what = " ".join(row.partition("/")[2] for row in rows)
        plan = f"bench rows {road if road in ('lo', 'veth') else 'nic'} 3 50 pure {what}"
    if road in ("e1000e", "virtio"):
        options = ["--nic", road]
    lines, counts = vm.boot(f"{KALLSYMS}\n{plan}", options, plugin=True)
    names = names_for(lines)
    samples = vm.samples(lines, counts)
    for row in dict.fromkeys(sample.row for sample in samples):
        show([sample for sample in samples if sample.row == row], names)
        print()
    return 0
