# SPDX-License-Identifier: GPL-2.0
"""iperf3: many streams of bulk, each way and both at once."""

import json

from harness.ends import SERVER, Failure, fewer
from harness.program import MIB, Program as Base

STREAMS = 4


class Program(Base):
    name = "iperf3"

    def start(self, ends):
        ends.start("iperf3", ["iperf3", "-4", "-s", "-B", SERVER, "--forceflush"], 5201)

    def measure(self, ends, *options):
        """Moves bytes by four streams; returns iperf3's answer."""
        size = fewer(256 * MIB, 8 * MIB)
        command = ["iperf3", "-4", "-c", SERVER, "-P", str(STREAMS), "-n", str(size), "-J"]
        answer = json.loads(ends.client([*command, *options], limit=90))
        if "error" in answer:
            raise Failure(f"iperf3: {answer['error']}")
        streams = answer["end"]["streams"]
        for stream in streams:
            for side in ("sender", "receiver"):
                if side in stream and stream[side]["bytes"] == 0:
                    raise Failure(f"a stream's {side} moved nothing: {stream}")
        sums = ("sum_sent", "sum_sent_bidir_reverse")
        total = sum(answer["end"].get(each, {}).get("bytes", 0) for each in sums)
        if total < size:
            raise Failure(f"{total} bytes sent of {size}")
        return answer

    def test_four_streams(self, ends):
        answer = self.measure(ends)
        # By TCP_INFO, of the client's socket.
        for stream in answer["end"]["streams"]:
            if not stream["sender"].get("mean_rtt"):
                raise Failure(f"no round-trip time in TCP_INFO: {stream['sender']}")

    def test_four_streams_reverse(self, ends):
        self.measure(ends, "-R")

    def test_four_streams_both_ways(self, ends):
        self.measure(ends, "--bidir")

    def test_sendfile(self, ends):
        self.measure(ends, "-Z")

    def test_options(self, ends):
        """Buffers, segment size, no delay, a congestion control, a window."""
        self.measure(ends, "-N", "-M", "1000", "-w", "256K", "-C", "reno")
