"""First reports: which checkouts are new enough to be inserted, and at what time.

An insert costs the server about a quarter of what the update by a pipeline costs (measured by `make bench`: 77 µs
against 306 µs), but takes its times from here, where the pipeline reads the server's clock. So it is used while the
server's time is known well, and never gives a time that the server's clock has not reached.
"""

import asyncio
from collections import OrderedDict
from datetime import datetime
from typing import Any

import pymongo

from recovery.errors import RecoveryError
from recovery.mongo.clock import MongoClock
from recovery.mongo.intake import CheckoutWrite, Write

MEASURED_WITHIN = 5.0
"""Seconds for which a measurement of the server's clock is used: so long may a jump of that clock, or a primary with
another one, stay unnoticed."""

MEASURE_EVERY = 2.0
"""Seconds between measurements while there are reports. One costs as much as a report or two."""

MOST_ERROR = 0.1
"""The maximum error of the measured clock in seconds."""

MOST_REMEMBERED = 10_000
"""Checkouts that are known to be stored, by their ids: some 2 MB at most."""

SAMPLE, MOST_STORED, PAUSE = 500, 0.05, 5_000
"""Inserts between two checks of how many were in vain, the share of them that is worth it, and the reports that are
then not inserted. An insert in vain costs more than it saves: with a fifth of them, a report costs 1.17 times what it
costs by updates alone (measured). Most are when several processes report the same checkouts."""


class FirstReports:
    """Decides for each checkout report whether it is inserted, and makes its document."""

    def __init__(self, clock: MongoClock) -> None:
        self._clock = clock
        self._measuring: asyncio.Task[None] | None = None
        self._reported: OrderedDict[str, None] = OrderedDict()
        self._inserted = self._stored = self._paused = 0

    def now(self) -> datetime | None:
        """Return a time that the server's clock has just reached, or None if that is not known well.

        It is at most twice `MOST_ERROR` behind. Starts a measurement if one is due.
        """
        age = self._clock.age
        if age > MEASURE_EVERY and (self._measuring is None or self._measuring.done()):
            self._measuring = asyncio.create_task(self._measure(), name="recovery clock")
        if age > MEASURED_WITHIN or self._clock.error > MOST_ERROR:
            return None
        return self._clock.earliest()

    def document(self, write: Write | CheckoutWrite, now: datetime | None) -> dict[str, Any] | None:
        """Return the document to insert in place of a write, or None if its checkout may be stored already."""
        id_ = write.id
        known = id_ in self._reported
        self._reported[id_] = None
        if known:
            self._reported.move_to_end(id_)
        elif len(self._reported) > MOST_REMEMBERED:
            self._reported.popitem(last=False)
        if known or now is None or not isinstance(write, CheckoutWrite):
            return None
        if self._paused:
            self._paused -= 1
            return None
        return write.document(now)

    def inserted(self, count: int, stored: int) -> None:
        """Note the number of inserts in a group, and how many of them were of checkouts that were stored already."""
        self._inserted += count
        self._stored += stored
        if self._inserted >= SAMPLE:
            self._paused = PAUSE if self._stored > self._inserted * MOST_STORED else 0
            self._inserted = self._stored = 0

    async def _measure(self) -> None:
        try:
            with pymongo.timeout(MEASURED_WITHIN):
                await self._clock.measure(answers=1)
        except RecoveryError:
            pass  # reports go the pipeline's way until a later measurement succeeds
