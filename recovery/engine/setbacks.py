"""Setbacks: attempts whose failure is laid on the relay, counted for each message.

A message that the relay hangs up on, or refuses as if the fault were ours, again and again while it takes others, is at
fault itself. The pauses grow with the number of setbacks.
"""

from dataclasses import dataclass

FREE_SETBACKS = 2
"""Setbacks of a message, while the relay takes others, before an attempt counts."""

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""Seconds to wait after the first setback, the second, and so on; the last after all others (exponential backoff)."""

REMEMBERED = 10_000
"""Messages of which setbacks are counted; after that all counts start again."""


@dataclass(frozen=True, slots=True)
class _Counted:
    count: int
    at: float


class Setbacks:
    """Counts the setbacks of messages in a row. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._of: dict[str, _Counted] = {}

    def add(self, id_: str, now: float, passed_at: float | None) -> float | None:
        """Count a setback; return the seconds to wait before the next try, or None if the message is at fault.

        `passed_at` is the time at which the relay last answered for any message (`Breaker.passed_at`); None where the
        message cannot be at fault.
        """
        before = self._of.get(id_)
        if before is None and len(self._of) >= REMEMBERED:
            self._of.clear()
        count = before.count + 1 if before else 1
        self._of[id_] = _Counted(count, now)
        if count > FREE_SETBACKS and before and passed_at is not None and passed_at > before.at:
            return None
        return PAUSES[min(count, len(PAUSES)) - 1]

    def forget(self, id_: str) -> None:
        """Start again with this message: it ended otherwise."""
        self._of.pop(id_, None)
