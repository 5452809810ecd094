"""The congestion window: the number of messages in flight, adapted to the speed of the relay, as TCP does."""

FIRST = 100
LEAST = 10
SETTLES_IN = 0.5
"""Seconds after shrinking in which results are ignored: they still reflect the old size."""

SLOWER = 16
"""How many times slower it grows above half of the size at which messages found no connection in time."""


class Window:
    """Doubles while every claimed message finds a connection in time, halves when some do not (at most `most`).

    From then on it doubles up to that half alone, and grows slowly above it, as TCP avoids congestion: each message
    that is claimed and not sent costs the database as much as one that is, and delays its checkout.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._settled_at: float | None = None
        self._slow_above = float(most)
        self._size = float(min(FIRST, most))

    @property
    def size(self) -> int:
        """The number of messages that may be in flight."""
        return int(self._size)

    @property
    def batch(self) -> int:
        """The room that is worth claiming for: a quarter of it; half where the relay is the limit, and leaves time."""
        return max(1, self.size // (4 if self._slow_above == self._most else 2))

    def tell(self, handed_over: int, unsent: int, in_flight: int, now: float) -> None:
        """Adapt to the numbers of messages that ended handed over and unsent, while so many were in flight.

        `now` is in seconds of a monotonic clock.
        """
        if not unsent:
            if in_flight > self.size // 2:
                fast = min(handed_over, max(self._slow_above - self._size, 0.0))
                self._size = min(self._size + fast + (handed_over - fast) / SLOWER, self._most)
        elif self._settled_at is None or now >= self._settled_at:
            self._size = self._slow_above = float(max(self.size // 2, min(LEAST, self._most)))
            self._settled_at = now + SETTLES_IN
