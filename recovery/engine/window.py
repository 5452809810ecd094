"""The window: how many messages may be in flight, found out by how many the relay takes, as TCP does."""

FIRST = 100
LEAST = 10
SETTLES_IN = 0.5
"""Seconds in which what was claimed under the former size is with the relay or back: only later does it tell more."""


class Window:
    """Doubles while all that is claimed finds its connection in time, halves when some of it does not.

    Never above `most`. Few are claimed for a slow relay: what is claimed and not sent delays its checkout for nothing.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._settled_at: float | None = None
        self.size = min(FIRST, most)

    def tell(self, handed_over: int, unsent: int, in_flight: int, now: float) -> None:
        """Take in how many of those that ended were handed over or not, while so many were in flight.

        `now` is in seconds of a monotonic clock.
        """
        if not unsent:
            if in_flight > self.size // 2:
                self.size = min(self.size + handed_over, self._most)
        elif self._settled_at is None or now >= self._settled_at:
            self.size = max(self.size // 2, min(LEAST, self._most))
            self._settled_at = now + SETTLES_IN
