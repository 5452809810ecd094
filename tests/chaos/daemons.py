"""Real daemons: `recovery run` in processes of their own, configured by the environment alone."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import recovery
from tests.support.log_lines import addresses

ROOT = Path(recovery.__file__).parents[1]
"""The tree that the harness runs from is the one whose daemons it starts: a copy that was broken on purpose, say."""

STARTS_WITHIN = 60


class Daemon:
    """A running `recovery run`, with its log."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[dict] = []
        self.address = ""
        self.stopped = False
        self.largest_rss = 0

    async def kill(self) -> None:
        """End it without a chance to do anything."""
        self.stopped = True
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()

    async def terminate(self) -> None:
        """Ask it to stop, and wait until it has."""
        self.stopped = True
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            await self.process.wait()

    def pause(self) -> None:
        """Stop it in the midst of whatever it does, as a virtual machine that is moved."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on as if nothing had happened."""
        self.process.send_signal(signal.SIGCONT)

    async def ready(self) -> tuple[int, dict[str, str | None]]:
        """Return the status of its readiness and each check's fault."""
        status, body = await asyncio.to_thread(self._get, "/readyz")
        return status, json.loads(body)["checks"]

    async def metric(self, name: str, **labels: str) -> float:
        """Return one of its metrics, 0 if it was never counted."""
        wanted = name + (
            "{" + ",".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}" if labels else ""
        )
        _, body = await asyncio.to_thread(self._get, "/metrics")
        for line in body.splitlines():
            if line.startswith(f"{wanted} "):
                return float(line.rpartition(" ")[2])
        return 0.0

    def lines_that_name_people(self) -> list[str]:
        """Return the lines of its log that have a customer's address in them."""
        return addresses(map(str, self.log))

    def rss(self) -> int:
        """Return the memory it holds, in kilobytes."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """Return the most memory that it ever held, in kilobytes."""
        return self._status("VmHWM")

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))

    def _get(self, path: str) -> tuple[int, str]:
        try:
            with urlopen(f"http://{self.address}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as answer:
            with answer:
                return answer.code, answer.read().decode()


@asynccontextmanager
async def started(environment: Mapping[str, str], *, python_path: str = "") -> AsyncIterator[Daemon]:
    """Start a daemon and wait until it is ready; kill it in the end. `python_path` goes before the project's tree."""
    paths = os.pathsep.join(filter(None, (python_path, os.environ.get("PYTHONPATH", ""), str(ROOT))))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from recovery.cli import main; main()", "run"),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": paths, "RECOVERY_LOG__FORMAT": "json", **environment},
        cwd="/",
        stderr=asyncio.subprocess.PIPE,
    )
    daemon = Daemon(process)
    ready = asyncio.get_running_loop().create_future()
    reader = asyncio.create_task(_read(daemon, ready))
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            daemon.address = await ready
        yield daemon
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reader


async def _read(daemon: Daemon, ready: "asyncio.Future[str]") -> None:
    assert daemon.process.stderr is not None
    async for line in daemon.process.stderr:
        entry = json.loads(line) if line.startswith(b"{") else {"event": line.decode().strip()}
        daemon.log.append(entry)
        if entry["event"] == "ready" and not ready.done():
            ready.set_result(entry["http"])
    if not ready.done():
        ready.set_exception(RuntimeError(f"the daemon did not start: {daemon.log[-5:]}"))
