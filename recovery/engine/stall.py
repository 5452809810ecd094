"""The stall: messages are claimed, and for some time none is handed over. That is a fault for the operator."""

from collections.abc import Sequence

from recovery.domain.outcome import OutcomeKind
from recovery.engine.flight import Ended

STALLED_AFTER = 10.0
"""Seconds without a successful hand-over, though messages were claimed, after which there is a fault."""


class Stall:
    """Remembers since when nothing could be handed over, and why. Times are seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._last = 0.0
        self._why = ""

    def tell(self, ended: Sequence[Ended], now: float) -> None:
        """Take note of how some flights ended."""
        if any(each.outcome.kind.tells_of_relay for each in ended):
            self._since = None
        elif unsent := next((each for each in ended if _is_unsent(each)), None):
            if self._since is None or now - self._last > STALLED_AFTER:
                self._since = now
            self._last, self._why = now, unsent.outcome.reply

    def fault(self, now: float) -> str | None:
        """Return the reason why no hand-over has succeeded for some time, or None."""
        if self._since is None or self._last - self._since < STALLED_AFTER or now - self._last > STALLED_AFTER:
            return None
        return f"nothing could be handed over for {self._last - self._since:.0f} s: {self._why}"


def _is_unsent(ended: Ended) -> bool:
    """Return whether a message went back for lack of time: no connection was free, or the database was too slow."""
    return ended.outcome.kind is OutcomeKind.UNSENT or ended.flight.starved
