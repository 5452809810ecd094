"""What the Python peers share: the task from stdin, the mail, and the outcome as one line of JSON."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Ran = list[tuple[int, float]]
"""Which job was done when: its number, and the seconds since 1970."""

LINGER = 0.5
"""Seconds to wait when all is done: a job that runs twice is to be seen."""


class Task:
    """What to do; the fields are told in benchmarks/peers/programs.py."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.server: str = told["server"]
        self.database: str = told["database"]
        self.lead: float = told["lead"]
        self.offsets: list[float] = told["offsets"]
        self.run: bool = told["run"]
        self.within: float = told["within"]
        self.callers: int = told["callers"]
        self.sender: str = told["sender"]
        self.relay_port: int = told["relay_port"]
        self.mail = Path(told["mail"]).read_bytes() if told["mail"] else None
        self.folder = Path(told["folder"])
        self.told = told
        self.began_at = 0.0

    def due(self) -> Iterator[tuple[int, float]]:
        """Begin now: yield each job's number, and when it is due, in seconds since 1970."""
        self.began_at = round(time.time(), 3)
        for number, offset in enumerate(self.offsets):
            yield number, round(self.began_at + self.lead + offset, 3)

    def envelope(self, number: int) -> tuple[str, list[str], bytes]:
        """Return a job's mail: sender, recipients, content."""
        content = (self.mail or b"").replace(b"%NUMBER%", str(number).encode())
        return self.sender, [f"customer{number}@example.com"], content

    def print_outcome(self, took: float, ran: Ran) -> None:
        """Print the outcome: when it began, how many seconds the scheduling took, and what was done when."""
        print(json.dumps({"began_at": self.began_at, "took": took, "ran": ran}), flush=True)


def read_task() -> Task:
    """Return the task from stdin."""
    return Task(json.load(sys.stdin))


class Worker:
    """The work of a job in asyncio: 20 kept connections, as ours has."""

    CONNECTIONS = 20

    def __init__(self, task: Task) -> None:
        self.ran: Ran = []
        self._task = task
        self._seen: set[int] = set()
        self._all = asyncio.Event()
        self._free: asyncio.LifoQueue[Any] = asyncio.LifoQueue()

    async def connect(self) -> None:
        """Open the connections, if there are mails to send."""
        if self._task.mail is None:
            return
        from aiosmtplib import SMTP  # Celery's environment has none

        for _ in range(self.CONNECTIONS):
            client = SMTP(
                hostname="127.0.0.1", port=self._task.relay_port, local_hostname="bench", start_tls=False, use_tls=False
            )
            await client.connect()
            self._free.put_nowait(client)

    async def work(self, number: int) -> None:
        """Send the job's mail if there are mails, and record when it was done."""
        if self._task.mail is not None:
            client = await self._free.get()
            try:
                await client.sendmail(*self._task.envelope(number))
            finally:
                self._free.put_nowait(client)
        self.ran.append((number, time.time()))
        self._seen.add(number)
        if len(self._seen) == len(self._task.offsets):
            self._all.set()

    async def wait(self) -> None:
        """Wait until all is done, or it takes too long."""
        try:
            async with asyncio.timeout(self._task.within):
                await self._all.wait()
        except TimeoutError:
            return
        await asyncio.sleep(LINGER)
