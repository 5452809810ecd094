"""The congestion window: the number of messages in flight, adapted to the speed of the relay, as TCP does."""

FIRST = 100
LEAST = 10
SETTLES_IN = 0.5
"""Seconds after shrinking in which results are ignored: they still reflect the old size."""


class Window:
    """Doubles while every claimed message finds a connection in time, halves when some do not (at most `most`).

    For a slow relay, few messages are claimed: one that is claimed and not sent only delays its checkout.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._settled_at: float | None = None
        self.size = min(FIRST, most)

    def tell(self, handed_over: int, unsent: int, in_flight: int, now: float) -> None:
        """Adapt to the numbers of messages that ended handed over and unsent, while so many were in flight.

        `now` is in seconds of a monotonic clock.
        """
        if not unsent:
            if in_flight > self.size // 2:
                self.size = min(self.size + handed_over, self._most)
        elif self._settled_at is None or now >= self._settled_at:
            self.size = max(self.size // 2, min(LEAST, self._most))
            self._settled_at = now + SETTLES_IN
