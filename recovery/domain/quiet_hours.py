"""Quiet hours: the part of a day without reminders, by the wall clock of the customer's time zone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

_A_WHILE = timedelta(minutes=15)


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Return a time zone of the tz database by its name. Raises `ValueError` if it has none of this name."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as exc:  # ZoneInfoNotFoundError, a folder, a path that leads elsewhere
        raise ValueError(f"there is no time zone {name!r} in the tz database") from exc


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A daily period from `begin` to before `end`, by the wall clock; over midnight if `end` is the earlier one.

    An hour that the wall clock shows twice, as when daylight saving time ends, is quiet both times.
    """

    begin: time
    end: time

    def end_after(self, at: datetime, where: ZoneInfo) -> datetime | None:
        """Return the end, in UTC, of the quiet hours that contain `at`; None if none do."""
        if not self._hold(at, where):
            return None
        end = next(moment for moment in _moments(self.end, at, where) if moment > at)
        while self._hold(end, where):  # the clock was put back over the end
            end += _A_WHILE
        return end

    def awake(self, since: datetime, until: datetime, where: ZoneInfo, enough: timedelta) -> timedelta:
        """Return the time between the two outside quiet hours. Counting stops when it exceeds `enough`.

        So a period of years takes no longer than one of a few nights.
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


def _moments(wall: time, around: datetime, where: ZoneInfo) -> Sequence[datetime]:
    """Return the UTC instants at which the wall clock shows this time, from the day before on, in order.

    There are two on the day the clock is put back. A time that the clock skips comes as two instants, by the offset
    before the change and by the one after it.
    """
    return _moments_of_days(wall, around.astimezone(where).date(), where)


@lru_cache(maxsize=4096)
def _moments_of_days(wall: time, today: date, where: ZoneInfo) -> Sequence[datetime]:
    found: list[datetime] = []
    for day in range(-1, 4):
        local = datetime.combine(today + timedelta(days=day), wall, where)
        found += sorted({local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)})
    return tuple(found)
