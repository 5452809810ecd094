"""The breaker: while the relay is at fault, no message is claimed for it."""

from datetime import datetime, timedelta

from recovery.delivery import Outcome

FAULTS_IN_A_ROW = 3
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=1)


class Breaker:
    """Open after three faults of the relay in a row; then one probe at a time, after pauses that double up to a minute.

    `fault` says why it is open, or is None.
    """

    def __init__(self) -> None:
        self.fault: str | None = None
        self._in_a_row = 0
        self._pause = FIRST_PAUSE
        self._until: datetime | None = None

    def tell(self, outcome: Outcome, now: datetime) -> None:
        """Take in how an attempt ended."""
        if not outcome.kind.tells_of_relay:
            return
        if not outcome.kind.blames_relay:
            self.fault, self._in_a_row, self._pause, self._until = None, 0, FIRST_PAUSE, None
            return
        self._in_a_row += 1
        if self._in_a_row >= FAULTS_IN_A_ROW and (self._until is None or now >= self._until):
            self.fault = f"{outcome.kind}: {outcome.reply}"
            self._until = now + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def room(self, free: int, in_flight: int, now: datetime) -> int:
        """Return how many of the `free` places may be used: all, none, or one for a probe."""
        if self._until is None:
            return free
        return 1 if now >= self._until and in_flight == 0 else 0

    def pause(self, now: datetime) -> timedelta | None:
        """Return how long it is until the next probe; None while the breaker is closed."""
        return None if self._until is None else max(self._until - now, timedelta(0))
