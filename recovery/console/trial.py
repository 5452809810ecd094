"""The port through which the page *schedule* tries one: `recovery.app` implements it."""

from datetime import timedelta
from typing import Protocol

from recovery.domain.simulation import Comparison

MOST_TRIED = 10_000
"""Checkouts of one trial in the console: they are replayed beside the daemon's work, in small pieces."""


class BadSchedule(Exception):
    """A schedule that cannot be tried, with a sentence for each fault."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class Trial(Protocol):
    """Tries schedules over kept checkouts of a shop. It writes nothing."""

    def in_force(self, shop: str) -> str:
        """Return the schedule in force of a shop, as it stands in a configuration file."""
        ...

    async def compare(self, text: str, shop: str, since: timedelta) -> Comparison:
        """Return the schedule of a text, compared with the one in force. Raises `BadSchedule`, `Unavailable`."""
        ...
