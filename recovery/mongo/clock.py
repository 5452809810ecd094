"""The database's time."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from recovery.mongo.collections import Database
from recovery.mongo.errors import translated

ANSWERS = 3

DRIFT = 2e-4
"""The maximum drift between two clocks, in seconds per second: computer clocks drift by up to 1e-4 each."""

PRECISION = 1e-3
"""Seconds between two values of a BSON date, the form in which the server says its time."""


class MongoClock:
    """The time of the primary, whose clock TTL uses; between measurements, a monotonic clock carries it on.

    This machine's wall clock is never read: it may be an hour off, or jump. `monotonic` returns seconds.
    """

    def __init__(self, database: Database, monotonic: Callable[[], float]) -> None:
        self._database = database
        self._monotonic = monotonic
        self._measured: tuple[datetime, float] | None = None
        self._error = 0.0
        self._confirmed = -math.inf

    def now(self) -> datetime:
        """Return the time now, in UTC, to the millisecond: the precision of a BSON date."""
        return _to_millisecond(self._at(self._monotonic()))

    def earliest(self) -> datetime:
        """Return the earliest time that the server's clock may show now, unless it has jumped; as `now` does."""
        moment = self._monotonic()
        return _to_millisecond(self._at(moment) - timedelta(seconds=self._error_at(moment)))

    @property
    def error(self) -> float:
        """The maximum error of `now` in seconds, unless the server's clock has jumped; infinite before `measure`."""
        return self._error_at(self._monotonic())

    @property
    def age(self) -> float:
        """Seconds since the last answer of the server; infinite before the first."""
        return self._monotonic() - self._confirmed

    @translated
    async def measure(self, answers: int = ANSWERS) -> None:
        """Set the clock to the server's, by the best of a few answers.

        The error of an answer is half of its round trip, and grows with the drift of clocks. A slow answer, because a
        connection had to be opened or this process was busy, does not replace a recent better one, unless both cannot
        be true: then the server's clock has jumped, or there is another primary.
        """
        for _ in range(answers):
            before = self._monotonic()
            hello = await self._database.command("hello")
            after = self._monotonic()
            middle, error = (before + after) / 2, (after - before) / 2
            local_time: datetime = hello["localTime"].replace(tzinfo=UTC)
            if error <= self._error_at(middle) or self._contradicts(local_time, middle, error):
                self._measured, self._error = (local_time, middle), error
            self._confirmed = middle

    def _at(self, moment: float) -> datetime:
        if self._measured is None:
            raise AssertionError("the clock is read before `measure` has set it")
        at, seconds = self._measured
        return at + timedelta(seconds=moment - seconds)

    def _error_at(self, moment: float) -> float:
        if self._measured is None:
            return math.inf
        return self._error + DRIFT * (moment - self._measured[1])

    def _contradicts(self, local_time: datetime, moment: float, error: float) -> bool:
        apart = abs((local_time - self._at(moment)).total_seconds())
        return apart > error + self._error_at(moment) + PRECISION


def _to_millisecond(time: datetime) -> datetime:
    return time.replace(microsecond=time.microsecond // 1000 * 1000)
