"""Quiet hours: the part of a day in which nobody wants mail, on the wall clocks of where they live."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_A_WHILE = timedelta(minutes=15)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return a time zone of the tz database. Raises `ValueError` if there is none of this name."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as exc:  # ZoneInfoNotFoundError, a folder, a path that leads elsewhere
        raise ValueError(f"there is no time zone {name!r} in the tz database") from exc


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `begin` until before `end`, by the wall clock; over midnight where `end` is the earlier of the two.

    What the wall clock says is what counts, however often it says it: of an hour that comes twice, both are quiet.
    """

    begin: time
    end: time

    def end_after(self, at: datetime, where: ZoneInfo) -> datetime | None:
        """Return when the quiet hours that `at` lies in end there, in UTC; None where it lies in none."""
        if not self._hold(at, where):
            return None
        end = next(moment for moment in _moments(self.end, at, where) if moment > at)
        while self._hold(end, where):  # the clock was put back over the end
            end += _A_WHILE
        return end

    def awake(self, since: datetime, until: datetime, where: ZoneInfo, enough: timedelta) -> timedelta:
        """Return how much of the time between the two is not quiet; no more is counted than `enough` is exceeded.

        What may be years is done with after a few nights.
        """
        awake = timedelta()
        while since < until and awake <= enough:
            end = self.end_after(since, where)
            begin = None if end else next(moment for moment in _moments(self.begin, since, where) if moment > since)
            if begin is not None:
                awake += min(begin, until) - since
            since = end or begin or until
        return awake

    def _hold(self, at: datetime, where: ZoneInfo) -> bool:
        wall = at.astimezone(where).time()
        if self.begin <= self.end:
            return self.begin <= wall < self.end
        return wall >= self.begin or wall < self.end


def _moments(wall: time, around: datetime, where: ZoneInfo) -> Iterator[datetime]:
    """Yield, in UTC and in their order, when the wall clock says so from the day before on: twice where it is put back.

    A time that the clock leaps over comes as the two moments that either side of the leap would make of it.
    """
    today = around.astimezone(where).date()
    for day in range(-1, 4):
        local = datetime.combine(today + timedelta(days=day), wall, where)
        yield from sorted({local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)})
