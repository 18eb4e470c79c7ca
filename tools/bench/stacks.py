# SPDX-License-Identifier: GPL-2.0
"""What else a program could use: an AF_INET client, and at the other end AF_INET, oxtcp, or
smoltcp behind a TUN device."""

import statistics

import report
import vm

PROGRAM = f"{vm.HERE}/smoltcp/target/release/oxbench-smoltcp"
ROWS = ("request-response", "connect-request-close", "stream-1k", "stream-64k")
SERVERS = {"inet": "AF_INET", "oxtcp-serves-inet": "oxtcp", "smoltcp": "smoltcp"}
SCRIPT = f"""
cp {PROGRAM} /run/smoltcp
bench rows veth {{rounds}} 50 all {" ".join(ROWS)}
ip tuntap add dev rival mode tun
ip addr add 10.9.0.1/24 dev rival
ip link set rival up
/run/smoltcp rival {{rounds}}
"""


def measured(rounds):
    """{row: {server: [costs]}}"""
    lines, _ = vm.boot(SCRIPT.format(rounds=rounds), timeout=600)
    samples = vm.samples(lines)
    return {
        row: {name: report.costs(samples, f"veth/{row}", sides) for sides, name in SERVERS.items()}
        for row in ROWS
    }


def table(found):
    """The same as text."""
    text = [f"{'An AF_INET client, and at the other end':42}"
            + "".join(f"{name:>9}" for name in SERVERS.values())
            + "   to AF_INET"]
    for row, servers in found.items():
        costs = [statistics.median(costs) for costs in servers.values()]
        text.append(
            f"{row:42}" + "".join(f"{report.number(cost):>9}" for cost in costs)
            + "  " + "".join(f"{cost / costs[0]:6.2f}" for cost in costs[1:])
        )
    return "\n".join(text)
