"""What a part of the fuzzing has sent and seen, and the client that it sends with."""

from dataclasses import dataclass, field

import httpx

from tests.chaos.daemons import Daemon

KEY = "a-key-that-is-long-enough"
"""The key of the API."""

SLOWEST = 2.0
"""Seconds of processor time that an answer may take, or ten times as much real time: far more than any does."""


@dataclass
class Found:
    """What a part has sent and seen."""

    cases: int = 0
    slowest: float = 0.0
    statuses: set[int] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def answered(self, status: int, seconds: float, what: str) -> None:
        """Take note of an answer; any 5xx but 503, and one that took too long, is a fault."""
        self.cases += 1
        self.slowest = max(self.slowest, seconds)
        self.statuses.add(status)
        if status >= 500 and status != 503:
            self.faults.append(f"{status} to {what}")
        if seconds > SLOWEST:
            self.faults.append(f"{seconds:.1f} s for {what}")


def client_of(daemon: Daemon) -> httpx.AsyncClient:
    """Return a client of a daemon's API."""
    return httpx.AsyncClient(base_url=f"http://{daemon.address}", trust_env=False, timeout=60)
