"""A bound on lines of the log that strangers can cause."""

MOST, PER = 10, 60.0
"""Lines that are written in so many seconds; those beyond are counted."""


class LogBound:
    """Says whether a line may be written, and how many were left out before it."""

    def __init__(self, most: int = MOST, per: float = PER) -> None:
        self._most, self._per = most, per
        self._begun = float("-inf")
        self._written = self._left_out = 0

    def left_out(self, now: float) -> int | None:
        """Return how many lines were left out since the last, or None if this one is to be left out as well.

        `now` is in seconds, by any clock that does not go back.
        """
        if now >= self._begun + self._per:
            self._begun, self._written = now, 0
        if self._written >= self._most:
            self._left_out += 1
            return None
        self._written += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
