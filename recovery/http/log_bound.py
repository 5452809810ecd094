"""A rate limit on log lines that unauthenticated callers can cause."""

MOST, PER = 10, 60.0
"""Lines that are written per so many seconds; further ones are counted."""


class LogBound:
    """A rate limit on one kind of log line; it counts the lines that it drops."""

    def __init__(self, most: int = MOST, per: float = PER) -> None:
        self._most, self._per = most, per
        self._begun = float("-inf")
        self._written = self._left_out = 0

    def left_out(self, now: float) -> int | None:
        """Return the number of lines dropped since the last one written, or None if this one is to be dropped too.

        `now` is in seconds, by any monotonic clock.
        """
        if now >= self._begun + self._per:
            self._begun, self._written = now, 0
        if self._written >= self._most:
            self._left_out += 1
            return None
        self._written += 1
        left_out, self._left_out = self._left_out, 0
        return left_out
