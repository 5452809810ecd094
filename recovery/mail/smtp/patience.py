"""Patience: the timeout of a connection, moved for each reply that is waited for."""

import asyncio
from collections.abc import Callable

READ_WITHIN = 0.1
"""Seconds after a timeout in which a reply that has arrived already is still read."""


class Patience:
    """The timeout of one connection: calls `is_over` when it has passed.

    Moving it costs next to nothing: the one timer behind it is only set again when it fires too early.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, is_over: Callable[[], None]) -> None:
        self._loop = loop
        self._is_over = is_over
        self.seconds = 0.0
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fires_at = 0.0
        self._last_look = False

    def begin(self, seconds: float) -> None:
        """Wait from now on for so many seconds."""
        self.seconds = seconds
        self._until = self._loop.time() + seconds
        self._last_look = False
        if self._timer is None or self._fires_at > self._until:
            self._set(self._until)

    def pause(self) -> None:
        """Wait for nothing."""
        self._until = None

    def end(self) -> None:
        """Stop the timer for good."""
        self._until = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires_at = at
        self._timer = self._loop.call_at(at, self._fired)

    def _fired(self) -> None:
        self._timer = None
        now = self._loop.time()
        if self._until is None:
            return
        if now < self._until:
            self._set(self._until)
        elif not self._last_look:
            self._last_look = True  # if this process was suspended, the reply may be here, not yet read
            self._set(now + READ_WITHIN)
        else:
            self._is_over()
