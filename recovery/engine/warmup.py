"""The warm-up of a relay's sending address: what it allows today, and whether complaints have halted it."""

import asyncio
import time
from collections.abc import Callable
from datetime import date, timedelta

from recovery.domain.warmup import Warmup
from recovery.engine.ports import Clock, Observer, PastDay, WarmupRecords

ASKED_EVERY = 60.0
"""Seconds for which the database's answer about complaints holds."""

COUNTED = timedelta(hours=24)
"""The time whose complaints and messages are compared."""


class WarmupWatch:
    """The watch over a warm-up: the limit of today, and complaints, asked for at most once a minute.

    `fault` is the reason why it has halted, or None.
    """

    def __init__(
        self,
        warmup: Warmup,
        records: WarmupRecords,
        clock: Clock,
        observer: Observer,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._warmup = warmup
        self._records = records
        self._clock = clock
        self._observer = observer
        self._monotonic = monotonic
        self._halted: frozenset[date] = frozenset()
        self._asked_at: float | None = None
        self._asking = asyncio.Lock()
        self._told: date | None = None
        self.fault: str | None = None

    @property
    def limit(self) -> int | None:
        """The number of messages in 24 hours, as far as is known: 0 while it has halted, None when it is over."""
        return 0 if self.fault else self._warmup.limit(self._clock.now().date(), self._halted)

    async def today(self) -> int | None:
        """Return the limit, after a question to the database if the last is old. Raises `Unavailable`."""
        async with self._asking:
            if self._asked_at is None or (self.limit is not None and self._monotonic() - self._asked_at >= ASKED_EVERY):
                await self._ask()
        self._tell()
        return self.limit

    async def _ask(self) -> None:
        now = self._clock.now()
        today = now.date()
        past = await self._records.since(now - COUNTED)
        is_over = self._warmup.limit(today, past.halted) is None
        halts = not is_over and self._warmup.halts(past.complaints, past.sent)
        if halts and today not in past.halted:
            await self._records.halt(today)
        self._asked_at = self._monotonic()
        self._halted = past.halted
        fault = self._why(past) if halts else None
        if (fault is None) != (self.fault is None):
            self._observer.warmup_halted(fault)
        self.fault = fault

    def _why(self, past: PastDay) -> str:
        return (
            f"{past.complaints} complaints about {past.sent} messages in 24 hours, above {self._warmup.halt_at:.1%}: no"
            " reminders are sent until they are fewer; to go on at once, raise warmup.halt_at and restart"
        )

    def _tell(self) -> None:
        """Report a day that has begun, and the end."""
        today = self._clock.now().date()
        limit = self._warmup.limit(today, self._halted)
        begun = date.max if limit is None else today
        if begun != self._told:
            self._told = begun
            self._observer.warming(self._warmup.day(today, self._halted), limit)
