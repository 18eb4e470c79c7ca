# SPDX-License-Identifier: GPL-2.0
"""An echo server with asyncio's streams. Usage: echo_server.py ADDRESS PORT"""

import asyncio
import sys


async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.write_eof()
    writer.close()
    await writer.wait_closed()


async def main():
    server = await asyncio.start_server(echo, sys.argv[1], int(sys.argv[2]), backlog=500)
    async with server:
        await server.serve_forever()


asyncio.run(main())
