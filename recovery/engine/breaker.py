"""The circuit breaker: while the relay is at fault, no message is claimed for it.

All times are seconds of a monotonic clock.
"""

from recovery.domain.outcome import Outcome, OutcomeKind

FAULTS_IN_A_ROW = 3
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
GROWTH = 2.0
GROWTH_THROTTLED = 1.1
"""The factor from one pause to the next. A rate's window ends at a time of its own: a tenth of it is lost at most."""


class Breaker:
    """Opens after three faults of the relay in a row; then lets one probe through at a time.

    The pauses between probes grow up to a minute (exponential backoff). `fault` is the reason why it is open, or
    None. `passed_at` is the time at which the relay last took a message, or refused one for its own sake. A message
    that the relay hangs up on counts once, however often it happens: the fault may be the message's.
    """

    def __init__(self) -> None:
        self.fault: str | None = None
        self.passed_at: float | None = None
        self._in_a_row = 0
        self._dropped: set[str] = set()
        self._pause = FIRST_PAUSE
        self._until: float | None = None

    def tell(self, id_: str, outcome: Outcome, now: float) -> None:
        """Count the outcome of an attempt at a message of the checkout `id_`."""
        if not outcome.kind.tells_of_relay:
            return
        if not outcome.kind.blames_relay:
            self.fault, self._in_a_row, self._pause, self._until = None, 0, FIRST_PAUSE, None
            self._dropped.clear()
            self.passed_at = now
            return
        if outcome.kind is OutcomeKind.DROPPED:
            self._dropped.add(id_)
        else:
            self._in_a_row += 1
        if self._in_a_row + len(self._dropped) >= FAULTS_IN_A_ROW and (self._until is None or now >= self._until):
            self.fault = f"{outcome.kind}: {outcome.reply}"
            self._until = now + self._pause
            growth = GROWTH_THROTTLED if outcome.kind is OutcomeKind.THROTTLED else GROWTH
            self._pause = min(self._pause * growth, LONGEST_PAUSE)

    def let_in(self) -> None:
        """Close after a successful login: the next fault opens it again at once.

        Only a message can show that the relay takes messages, so one goes first.
        """
        self.fault, self._in_a_row = None, FAULTS_IN_A_ROW - 1
        self._dropped.clear()

    def room(self, free: int, in_flight: int, now: float) -> int:
        """Return the number of the `free` places that may be used: all, none, or one for a probe."""
        if self._until is None:
            return free
        return 1 if now >= self._until and in_flight == 0 else 0

    def pause(self, now: float) -> float | None:
        """Return the seconds until the next probe; None while the breaker is closed."""
        return None if self._until is None else max(self._until - now, 0.0)
