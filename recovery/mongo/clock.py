"""The database's time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from recovery.mongo.collections import Database
from recovery.mongo.errors import translated

ANSWERS = 3

DRIFT = 2e-4
"""How far two clocks may part, in seconds a second: computers' drift by up to 1e-4 each."""


class MongoClock:
    """The time of the primary, on whose clock TTL runs, kept between measurements by a monotonic one.

    This process's own wall clock is never read: it may be an hour off, or jump. `monotonic` gives seconds.
    """

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._measured: tuple[datetime, float] | None = None
        self._error = 0.0

    def now(self) -> datetime:
        """Return the time now, in UTC, to the millisecond: what a kept date can hold."""
        if self._measured is None:
            raise AssertionError("the clock is read before it was set")
        at, seconds = self._measured
        now = at + timedelta(seconds=self._monotonic() - seconds)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    @translated
    async def measure(self) -> None:
        """Set the clock by the server's, by the best of a few answers.

        The error of an answer is half of its round trip, and grows with the drift of clocks: one that was slow, because
        a connection had to be made or this process was busy, does not replace a better one of a moment ago.
        """
        for _ in range(ANSWERS):
            before = self._monotonic()
            hello = await self._database.command("hello")
            after = self._monotonic()
            middle, error = (before + after) / 2, (after - before) / 2
            if self._measured is None or error <= self._error + DRIFT * (middle - self._measured[1]):
                local_time: datetime = hello["localTime"]
                self._measured, self._error = (local_time.replace(tzinfo=UTC), middle), error
