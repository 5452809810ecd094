"""A virtual clock: it stands still until it is moved."""

from datetime import UTC, datetime, timedelta

BEGINNING = datetime(2026, 3, 5, 12, tzinfo=UTC)
"""The time at which tests begin: the same in each run, a Thursday at noon, outside of usual quiet hours.

It is in the past, so that no time that a service takes from its own clock is later than what it reports it in."""


class VirtualClock:
    """The clock of the database and of the daemon, for a test. Implements `recovery.engine.ports.Clock`."""

    def __init__(self, begins: datetime = BEGINNING) -> None:
        if begins.tzinfo is None:
            raise ValueError(f"the time {begins} has no time zone: give one, such as datetime.UTC")
        self._now = _whole(begins.astimezone(UTC))

    def now(self) -> datetime:
        """Return the time in UTC, to the millisecond."""
        return self._now

    def monotonic(self) -> float:
        """Return the time in seconds, for what a process measures by its monotonic clock."""
        return self._now.timestamp()

    def move_to(self, at: datetime) -> None:
        """Set the time, never back."""
        self._now = max(self._now, _whole(at.astimezone(UTC)))


def _whole(at: datetime) -> datetime:
    """Return a time to the millisecond, rounded up: what is due then is due."""
    over = at.microsecond % 1000
    return at + timedelta(microseconds=1000 - over) if over else at
