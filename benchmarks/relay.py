"""The relay: `smtp-sink`, which takes every mail and throws it away, and a way to it that takes its time."""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from recovery.testing.mongod import _free_port

ROOT = Path(__file__).parents[1]
UNPACKED = ROOT / ".bench" / "postfix"


@asynccontextmanager
async def relay() -> AsyncIterator[tuple[int, int]]:
    """Run `smtp-sink`; give its port and its process id."""
    sink = shutil.which("smtp-sink") or UNPACKED / "usr/sbin/smtp-sink"
    port = _free_port()
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        *(str(sink), *user, f"127.0.0.1:{port}", "1000"),
        env=os.environ | {"LD_LIBRARY_PATH": str(UNPACKED / "usr/lib/postfix")},
    )
    async with _ending(process):
        await _listening(port)
        yield port, process.pid


@asynccontextmanager
async def far_away(port: int, round_trip: float) -> AsyncIterator[int]:
    """Give a port that leads to `port`, half a round trip (in seconds) away, in a process of its own."""
    near = _free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.relay", str(near), str(port), str(round_trip / 2), cwd=ROOT
    )
    async with _ending(process):
        await _listening(near)
        yield near


@asynccontextmanager
async def _ending(process: asyncio.subprocess.Process) -> AsyncIterator[None]:
    """End a process with the block."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # a terminal's Ctrl-C reaches it, too
            process.kill()
        await process.wait()


async def _listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


class _Delaying(asyncio.Protocol):
    """Passes on what it receives to its other end, after a while."""

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self.other: asyncio.Transport | None = None
        self.before: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self._loop.call_later(self._delay, self._pass_on, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._loop.call_later(self._delay, self._close)

    def _pass_on(self, data: bytes) -> None:
        if self.other is None:
            self.before.append(data)
        elif not self.other.is_closing():
            self.other.write(data)

    def _close(self) -> None:
        if self.other is not None:
            self.other.close()


async def _delay(near: int, far: int, delay: float) -> None:
    loop = asyncio.get_running_loop()

    class Near(_Delaying):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self._task = loop.create_task(self._connect(transport))

        async def _connect(self, transport: asyncio.BaseTransport) -> None:
            await asyncio.sleep(2 * delay)
            back = _Delaying(delay)
            back.other = transport  # type: ignore[assignment]
            self.other, _ = await loop.create_connection(lambda: back, "127.0.0.1", far)
            for data in self.before:
                self.other.write(data)

    server = await loop.create_server(lambda: Near(delay), "127.0.0.1", near, backlog=1000)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_delay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
