"""The alarms of decisions: a `next_at` in the future becomes a shadow; one in the past is due now."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from recovery.engine.ports import Clock, Shadows

EVENT_WITHIN = timedelta(seconds=2)
"""The time within which the event of a shadow comes after the checkout was claimed: usually it takes milliseconds."""


class Alarms:
    """Sets the shadows. `behind` is set while due checkouts wait to be looked at; the sweep then looks at them.

    `on_set` is called with the earliest time of the shadows just set. While `leaving`, this daemon will not look again,
    so that a due checkout gets a shadow too: its expiry wakes another daemon.
    """

    def __init__(self, shadows: Shadows, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._shadows = shadows
        self._clock = clock
        self._monotonic = monotonic
        self.behind = asyncio.Event()
        self.leaving = False
        self.on_set: Callable[[datetime], None] = lambda _: None
        self._answered: dict[str, float] = {}
        """When the alarm of a checkout was answered before its event, the earliest first."""

    async def set(self, next_at: Mapping[str, datetime | None]) -> None:
        """Set the shadows of these checkouts to their `next_at`. A checkout that is due already needs none.

        Raises `Unavailable`.
        """
        now = self._clock.now()
        later = {id_: at for id_, at in next_at.items() if at is None or at > now or self.leaving}
        if len(later) < len(next_at):
            self.behind.set()
        if not later:
            return
        if self._answered:
            soon = now + EVENT_WITHIN
            for id_, at in later.items():
                if at is not None and at <= soon:
                    self._answered.pop(id_, None)  # the next event may be of this alarm
        await self._shadows.set(later)
        if times := [at for at in later.values() if at is not None]:
            self.on_set(min(times))

    def answered(self, ids: Collection[str]) -> None:
        """Note that these checkouts were claimed before the events of their shadows."""
        now = self._monotonic()
        for id_ in ids:
            self._answered.pop(id_, None)
            self._answered[id_] = now
        while self._answered:
            first = next(iter(self._answered))
            if now - self._answered[first] <= EVENT_WITHIN.total_seconds():
                break
            del self._answered[first]

    def was_answered(self, id_: str) -> bool:
        """Return whether the event of this checkout's shadow tells nothing new. True once: another event may."""
        at = self._answered.pop(id_, None)
        return at is not None and self._monotonic() - at <= EVENT_WITHIN.total_seconds()
