"""The alarms of decisions: a `next_at` in the future becomes a shadow; one in the past is due now."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime

from recovery.engine.ports import Clock, Shadows


class Alarms:
    """Sets the shadows. `behind` is set while due checkouts wait to be looked at; the sweep then looks at them.

    `on_set` is called with the earliest time of the shadows just set. While `leaving`, this daemon will not look again,
    so that a due checkout gets a shadow too: its expiry wakes another daemon.
    """

    def __init__(self, shadows: Shadows, clock: Clock) -> None:
        self._shadows = shadows
        self._clock = clock
        self.behind = asyncio.Event()
        self.leaving = False
        self.on_set: Callable[[datetime], None] = lambda _: None

    async def set(self, next_at: Mapping[str, datetime | None]) -> None:
        """Set the shadows of these checkouts to their `next_at`. A checkout that is due already needs none.

        Raises `Unavailable`.
        """
        now = self._clock.now()
        later = {id_: at for id_, at in next_at.items() if at is None or at > now or self.leaving}
        if len(later) < len(next_at):
            self.behind.set()
        if later:
            await self._shadows.set(later)
            if times := [at for at in later.values() if at is not None]:
                self.on_set(min(times))
