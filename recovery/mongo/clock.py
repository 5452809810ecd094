"""The database's time."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from recovery.mongo.collections import Database
from recovery.mongo.errors import translated

ANSWERS = 3

DRIFT = 2e-4
"""The maximum drift between two clocks, in seconds per second: computer clocks drift by up to 1e-4 each."""


class MongoClock:
    """The time of the primary, whose clock TTL uses; between measurements, a monotonic clock carries it on.

    This machine's wall clock is never read: it may be an hour off, or jump. `monotonic` returns seconds.
    """

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._measured: tuple[datetime, float] | None = None
        self._error = 0.0

    def now(self) -> datetime:
        """Return the time now, in UTC, to the millisecond: the precision of a BSON date."""
        if self._measured is None:
            raise AssertionError("the clock is read before `measure` has set it")
        at, seconds = self._measured
        now = at + timedelta(seconds=self._monotonic() - seconds)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    @translated
    async def measure(self) -> None:
        """Set the clock to the server's, by the best of a few answers.

        The error of an answer is half of its round trip, and grows with the drift of clocks. A slow answer, because a
        connection had to be opened or this process was busy, does not replace a recent better one.
        """
        for _ in range(ANSWERS):
            before = self._monotonic()
            hello = await self._database.command("hello")
            after = self._monotonic()
            middle, error = (before + after) / 2, (after - before) / 2
            if self._measured is None or error <= self._error + DRIFT * (middle - self._measured[1]):
                local_time: datetime = hello["localTime"]
                self._measured, self._error = (local_time.replace(tzinfo=UTC), middle), error
