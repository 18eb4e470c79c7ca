# SPDX-License-Identifier: GPL-2.0
"""The rows of the table, and what each is to reach as a ratio to AF_INET."""


class Goal:
    """`row` as the samples name it; `must` and `aim` are None where nothing is asked."""

    def __init__(self, row, label, must=None, aim=None):
        self.row, self.label, self.must, self.aim = row, label, must, aim


GOALS = [
    Goal("lo/request-response", "request-response, one thread", 0.80, 0.60),
    Goal("lo/request-response-2p", "request-response, two processes", 0.88, 0.70),
    Goal("lo/connect-request-close", "connect, request, response, close", 0.70, 0.45),
    Goal("lo/connect-reset", "connect, accept, RST close", 0.70, 0.50),
    Goal("lo/stream-64k", "stream, 64 KiB writes", 0.90, 0.70),
    Goal("lo/stream-64k-zerocopy", "stream, 64 KiB writes, MSG_ZEROCOPY", 0.90, 0.50),
    Goal("lo/stream-1k", "stream, 1 KiB writes", 0.75, 0.50),
    Goal("lo/stream-64k-2p", "stream, 64 KiB writes, two processes"),
    Goal("lo/stream-1k-2p", "stream, 1 KiB writes, two processes"),
    Goal("veth/request-response", "veth: request-response, one thread", 0.80, 0.60),
    Goal("veth/request-response-2p", "veth: request-response, two processes", 0.88, 0.70),
    Goal("veth/connect-request-close", "veth: connect, request, response, close", 0.70, 0.45),
    Goal("veth/connect-reset", "veth: connect, accept, RST close", 0.70, 0.50),
    Goal("veth/stream-64k", "veth: stream, 64 KiB writes", 0.90, 0.70),
    Goal("veth/stream-64k-zerocopy", "veth: stream, 64 KiB writes, MSG_ZEROCOPY", 0.90, 0.50),
    Goal("veth/stream-1k", "veth: stream, 1 KiB writes", 0.75, 0.50),
    Goal("veth/stream-64k-2p", "veth: stream, 64 KiB writes, two processes"),
    Goal("veth/stream-64k-zerocopy-2p", "veth: the same with MSG_ZEROCOPY"),
    Goal("veth/stream-1k-2p", "veth: stream, 1 KiB writes, two processes"),
    Goal("e1000e/request-response", "e1000e: request-response, one thread"),
    Goal("e1000e/request-response-2p", "e1000e: request-response, two processes"),
    Goal("e1000e/connect-request-close", "e1000e: connect, request, response, close"),
    Goal("e1000e/connect-reset", "e1000e: connect, accept, RST close"),
    Goal("e1000e/stream-64k-2p", "e1000e: stream, 64 KiB writes, two processes"),
    Goal("e1000e/stream-64k-zerocopy-2p", "e1000e: the same with MSG_ZEROCOPY"),
    Goal("e1000e/stream-1k-2p", "e1000e: stream, 1 KiB writes, two processes"),
    Goal("virtio/request-response", "virtio: request-response, one thread"),
    Goal("virtio/request-response-2p", "virtio: request-response, two processes"),
    Goal("virtio/connect-request-close", "virtio: connect, request, response, close"),
    Goal("virtio/connect-reset", "virtio: connect, accept, RST close"),
    Goal("virtio/stream-64k-2p", "virtio: stream, 64 KiB writes, two processes"),
    Goal("virtio/stream-64k-zerocopy-2p", "virtio: the same with MSG_ZEROCOPY"),
    Goal("virtio/stream-1k-2p", "virtio: stream, 1 KiB writes, two processes"),
    Goal("memory/established", "memory, idle established socket", 0.68, 0.58),
    Goal("memory/after-idle", "the first request-response of a connection idle for 15 s"),
    Goal("memory/half-open", "memory, half-open connection", 0.45, 0.30),
    Goal("memory/time-wait", "memory, connection in TIME-WAIT", 0.45, 0.30),
    Goal("tun/syn-cookie", "SYN answered by a flooded listener", 0.75, 0.55),
    Goal("tun/syn-not-answered", "SYN that a flooded listener leaves unanswered"),
]

# Ratios between other things than oxtcp and AF_INET.
PRESENCE = Goal("presence", "AF_INET's request-response, oxtcp loaded to not loaded", 1.025, 1.01)
SCALE = Goal("many", "oxtcp's transaction, 100,000 connections open to 100", 1.05, 1.01)
SCALE_INET = Goal("many-inet", "AF_INET's transaction, 100,000 to 100")

# What the guard in `make test` watches: rows that repeat exactly enough.
GUARDED = [
    "lo/request-response",
    "lo/request-response-2p",
    "lo/connect-request-close",
    "lo/connect-reset",
    "lo/stream-64k",
    "lo/stream-1k",
]
