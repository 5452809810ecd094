"""A real daemon: `recovery run` in a process of its own, configured by the environment alone."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser

from recovery import Recovery
from tests.support.chromium import chromium
from tests.support.log_lines import addresses
from tests.support.smtp_servers import RecordingRelay

BINARY = Path(sys.executable).with_name("recovery")
STEPS = [
    {"name": "reminder-1", "delay": "1s", "template": "reminder-1", "subject": "One", "max_lateness": "50s"},
    {"name": "reminder-2", "delay": "3s", "template": "reminder-2", "subject": "Two", "max_lateness": "50s"},
]


class Daemon:
    """A running `recovery run`, its standard error as log lines, and its API."""

    def __init__(self, process: asyncio.subprocess.Process, http: httpx.AsyncClient, log: list[dict]) -> None:
        self.process = process
        self.http = http
        self.log = log

    async def said(self, event: str) -> None:
        """Wait for a log line."""
        async with asyncio.timeout(60):
            while not any(entry["event"] == event for entry in self.log):
                await asyncio.sleep(0.01)

    async def terminate(self, within: float = 60) -> int:
        """Ask it to stop; return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(within):
            return await self.process.wait()

    async def kill(self) -> None:
        """End it without a chance to do anything."""
        self.process.kill()
        await self.process.wait()


class DaemonWorld:
    """Everything around the daemons of one test."""

    def __init__(self, mongodb: str, database_name: str, relay: RecordingRelay, expirer: bool) -> None:
        self.mongodb = mongodb
        self.database_name = database_name
        self.relay = relay
        self.expirer = expirer
        self.recovery = Recovery(mongodb, database=database_name)

    def environment(self, **settings: str) -> dict[str, str]:
        """Return the environment of a daemon."""
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
            "RECOVERY_MONGODB__URI": self.mongodb,
            "RECOVERY_MONGODB__DATABASE": self.database_name,
            "RECOVERY_SMTP__PORT": str(self.relay.port),
            "RECOVERY_HTTP__PORT": "0",
            "RECOVERY_SCHEDULE__STEPS": json.dumps(STEPS),
            "RECOVERY_SCHEDULE__MIN_GAP": "500ms",
            "RECOVERY_SCHEDULE__MIN_GAP_PER_ADDRESS": "0s",
            "RECOVERY_SCHEDULE__LEASE": "4s",
            "RECOVERY_SMTP__TIMEOUT": "2s",
            "RECOVERY_DAEMON__EXPIRER": str(self.expirer).lower(),
            "RECOVERY_DAEMON__SWEEP_INTERVAL": "2s",
            "RECOVERY_DAEMON__SWEEP_GRACE": "2s",
            "RECOVERY_LOG__FORMAT": "json",
            **settings,
        }

    @asynccontextmanager
    async def daemon(self, *options: str, **settings: str) -> AsyncIterator[Daemon]:
        """Start a daemon and wait until it serves HTTP; kill it in the end, if it still runs."""
        process = await asyncio.create_subprocess_exec(
            *(BINARY, "run", *options), env=self.environment(**settings), cwd="/", stderr=asyncio.subprocess.PIPE
        )
        log: list[dict] = []
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        reader = asyncio.create_task(_read(process, log, ready))
        try:
            async with asyncio.timeout(60):
                address = await ready
            async with httpx.AsyncClient(base_url=f"http://{address}", timeout=60, trust_env=False) as http:
                yield Daemon(process, http, log)
            assert addresses(map(str, log)) == []
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            await reader


async def _read(process: asyncio.subprocess.Process, log: list[dict], ready: asyncio.Future[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        entry = json.loads(line) if line.startswith(b"{") else {"event": line.decode().strip()}
        log.append(entry)
        if entry["event"] == "ready" and entry["http"] != "off" and not ready.done():
            ready.set_result(entry["http"])
    if not ready.done():
        ready.set_exception(RuntimeError(f"the daemon did not start: {log}"))


@pytest.fixture(params=["expirer", "TTL alone"])
async def world(request, mongodb, database_name, database, relay) -> AsyncIterator[DaemonWorld]:
    """A database and a relay; daemons expire by themselves, or leave it to MongoDB's TTL monitor."""
    world = DaemonWorld(mongodb, database_name, relay, expirer=request.param == "expirer")
    async with world.recovery:
        yield world


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    async with chromium() as browser:
        yield browser
