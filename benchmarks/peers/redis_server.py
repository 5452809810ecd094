"""A throw-away Redis, without persistence."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from benchmarks.relay import ROOT
from recovery.testing.mongod import free_port

UNPACKED = ROOT / ".bench" / "redis" / "usr"
STARTS_WITHIN = 20
"""Seconds."""


@asynccontextmanager
async def redis_server() -> AsyncIterator[str]:
    """Run `redis-server` on a free loopback port; give its URL."""
    binary = shutil.which("redis-server") or UNPACKED / "bin/redis-server"
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        env=os.environ | {"LD_LIBRARY_PATH": str(UNPACKED / "lib")},
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # a terminal's Ctrl-C is for us; the server goes last
    )
    try:
        await _answers(port)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        await process.wait()


async def _answers(port: int) -> None:
    async with asyncio.timeout(STARTS_WITHIN):
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
                continue
            writer.write(b"PING\r\n")
            answer = await reader.readline()
            writer.close()
            if answer.startswith(b"+PONG"):
                return
            await asyncio.sleep(0.02)
