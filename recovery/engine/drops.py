"""Dropped connections: a message on which the relay hangs up repeatedly, while it takes others, is itself at fault.

Throttled messages are counted by the same class, for their pauses alone.
"""

from dataclasses import dataclass

FREE_DROPS = 2
"""Connections that the relay may drop during one message, while it takes others, before an attempt counts."""

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
"""Seconds to wait after the first drop, the second, and so on; the last after all others (exponential backoff)."""

REMEMBERED = 10_000
"""Messages of which drops are counted; after that all counts start again."""


@dataclass(frozen=True, slots=True)
class _Drops:
    count: int
    at: float


class Drops:
    """Counts the connections that the relay dropped during a message. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._of: dict[str, _Drops] = {}

    def add(self, id_: str, now: float, passed_at: float | None) -> float | None:
        """Count a drop; return the seconds to wait before the next try, or None if the message is at fault.

        `passed_at` is the time at which the relay last answered for any message (`Breaker.passed_at`); None where the
        message cannot be at fault.
        """
        before = self._of.get(id_)
        if before is None and len(self._of) >= REMEMBERED:
            self._of.clear()
        count = before.count + 1 if before else 1
        self._of[id_] = _Drops(count, now)
        if count > FREE_DROPS and before and passed_at is not None and passed_at > before.at:
            return None
        return PAUSES[min(count, len(PAUSES)) - 1]

    def forget(self, id_: str) -> None:
        """Start again with this message: it ended otherwise."""
        self._of.pop(id_, None)
