"""The pace: the rate of messages that a throttling relay bears, found by itself, as CUBIC (RFC 9438) does for TCP.

All times are seconds of a monotonic clock.
"""

from collections import deque

MEASURED_OVER = 5.0
"""Seconds over which the accepted rate is measured."""

RECOVERS_IN = 10.0
"""Seconds from a decrease until the rate is again that at which the relay throttled."""

SETTLES_IN = 2.0
"""Seconds after a decrease in which further throttling is ignored: it still reflects the old rate."""

SLIPS_THROUGH = 0.25
"""Seconds' worth of messages, at the limit, that may slip through after a decrease and say nothing of a rate."""

LEAST = 0.2
"""Messages a second: the circuit breaker, not the pace, stops what no rate can please."""

AT_ONCE = 0.2
"""Seconds' worth of messages that may be claimed at once, but at least one."""

FORGOTTEN_AFTER = 10
"""How many times its limit the rate must have grown, unopposed, to be lifted."""


class Pace:
    """Unlimited until the relay throttles; then half of the rate that it last accepted, and slowly more.

    The rate approaches the one at which the relay throttled within `recovers_in` seconds, stays near it for as long,
    and then grows faster and faster, until the relay throttles again or the rate has left the old limit far behind.
    If it throttles although it has accepted next to nothing since it did so last, a slower rate would not help: its
    window has to end, and the breaker stops all messages. Where there is no breaker (`alone`), the rate begins again at
    the least.
    """

    def __init__(self, *, recovers_in: float = RECOVERS_IN, alone: bool = False) -> None:
        self._recovers_in = recovers_in
        self._alone = alone
        self._limit: float | None = None
        """Messages a second at which the relay last throttled; None if it does not."""
        self._decreased_at = 0.0
        self._tokens = 0.0
        self._counted_at = 0.0
        self._accepted: deque[tuple[float, float]] = deque()

    def tell(self, accepted: float, throttled: int, now: float) -> None:
        """Count the messages that the relay accepted and throttled since the last call.

        Where several daemons have a pace in common, a message of one of them stands for theirs too.
        """
        if accepted:
            self._accepted.append((now, accepted))
        while self._accepted and self._accepted[0][0] < now - MEASURED_OVER:
            self._accepted.popleft()
        since_then = sum(count for at, count in self._accepted if at > self._decreased_at) if throttled else 0.0
        helps = self._limit is None or self._alone or since_then > SLIPS_THROUGH * self._limit
        if throttled and helps and (self._limit is None or now >= self._decreased_at + SETTLES_IN):
            self._limit = max(self._accepted_rate(now), LEAST)
            self._decreased_at, self._counted_at, self._tokens = now, now, 0.0

    def rate(self, now: float) -> float | None:
        """Return the present limit in messages a second, None for none."""
        if self._limit is None:
            return None
        grown = 1 + ((now - self._decreased_at - self._recovers_in) / self._recovers_in) ** 3 / 2
        if grown > FORGOTTEN_AFTER:
            self._limit = None
            return None
        return self._limit * grown

    @property
    def limit(self) -> float | None:
        """The messages a second at which the relay last throttled; None if it does not."""
        return self._limit

    @property
    def decreased_at(self) -> float:
        """The time at which it last throttled. With `limit` it says all of the rate from then on."""
        return self._decreased_at

    def adopt(self, limit: float | None, decreased_at: float) -> None:
        """Go on as another that was throttled at this limit at that time."""
        self._limit, self._decreased_at = limit, decreased_at

    def room(self, now: float) -> int | None:
        """Return the number of messages that may be claimed now, None for any number."""
        rate = self.rate(now)
        if rate is None:
            return None
        self._tokens = min(self._tokens + (now - self._counted_at) * rate, max(rate * AT_ONCE, 1.0))
        self._counted_at = now
        return int(self._tokens)

    def take(self, count: int) -> None:
        """Count messages that are claimed."""
        self._tokens -= count

    def batch(self, now: float) -> int:
        """Return the number of messages that are worth waiting for: half of what may be claimed at once."""
        return max(int((self.rate(now) or 0.0) * AT_ONCE / 2), 1)

    def pause(self, now: float) -> float:
        """Return the seconds until a batch may be claimed, 0 if one may be now."""
        room, rate, batch = self.room(now), self.rate(now), self.batch(now)
        if room is None or rate is None or room >= batch:
            return 0.0
        return (batch - self._tokens) / rate

    def _accepted_rate(self, now: float) -> float:
        """Return the messages accepted a second, over as much of `MEASURED_OVER` as there was work."""
        if not self._accepted:
            return 0.0
        seconds = max(now - self._accepted[0][0], 1.0)
        return sum(count for _, count in self._accepted) / seconds
