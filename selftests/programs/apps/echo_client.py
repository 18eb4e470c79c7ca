# SPDX-License-Identifier: GPL-2.0
"""Many connections at once with asyncio, each with bytes of its own.

Usage: echo_client.py ADDRESS PORT CONNECTIONS BYTES
"""

import asyncio
import hashlib
import random
import sys


async def send(writer, data):
    for at in range(0, len(data), 50000):
        writer.write(data[at : at + 50000])
        await writer.drain()
    writer.write_eof()


async def connection(address, port, size, seed):
    data = random.Random(seed).randbytes(min(size, 1 << 20))
    data = (data * -(-size // len(data)))[:size]
    reader, writer = await asyncio.open_connection(address, port)
    sending = asyncio.create_task(send(writer, data))
    back = await reader.read()
    await sending
    writer.close()
    await writer.wait_closed()
    if back != data:
        digests = [hashlib.sha256(each).hexdigest() for each in (data, back)]
        raise SystemExit(f"{len(data)} bytes out, {len(back)} back; SHA-256 {digests}")


async def main():
    address, port = sys.argv[1], int(sys.argv[2])
    connections, size = int(sys.argv[3]), int(sys.argv[4])
    await asyncio.gather(*(connection(address, port, size, i) for i in range(connections)))
    print(f"{connections} done")


asyncio.run(main())
