"""The records of receivers: stores what each relay said about the messages to them, and logs which are slowed."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

from recovery.daemon.lanes import Lane
from recovery.daemon.outage import Outage
from recovery.engine.ports import Clock
from recovery.engine.receivers import Slowed
from recovery.errors import Unavailable
from recovery.mongo.receivers import MongoReceivers

STORED_EVERY = 5.0
"""Seconds between two writes: one for each relay, of everything since the last."""

log = structlog.get_logger()


class ReceiverRecords:
    """The records of receivers, of all lanes. `show` gets the rates of those that are slowed, with each pass."""

    def __init__(
        self,
        store: MongoReceivers,
        lanes: Sequence[Lane],
        clock: Clock,
        show: Callable[[Mapping[str, float]], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._lanes = lanes
        self._clock = clock
        self._show = show
        self._monotonic = monotonic
        self._slowed: dict[Lane, dict[str, Slowed]] = {lane: {} for lane in lanes}
        self._stored: dict[Lane, set[str]] = {lane: set() for lane in lanes}
        self._outage = Outage(task="receivers")

    async def resume(self) -> None:
        """Go on with the receivers that were slowed before the start."""
        for lane in self._lanes:
            try:
                known = await self._store.slowed(lane.relay, self._clock.now())
            except Unavailable as exc:
                self._outage.tell(exc)
            else:
                lane.engine.sender.governor.resume(known, self._monotonic())
                self._stored[lane] = {each.receiver for each in known}

    async def run(self) -> None:
        """Log and store for ever, at intervals."""
        while True:
            await asyncio.sleep(STORED_EVERY)
            await self.store()

    async def store(self) -> None:
        """Log the receivers that are newly slowed, or free again; store them, and what was counted."""
        rates: dict[str, float] = {}
        for lane in self._lanes:
            slowed = {each.receiver: each for each in lane.engine.sender.governor.slowed(self._monotonic())}
            self._log(lane, slowed)
            for each in slowed.values():
                rates[each.receiver] = min(each.rate, rates.get(each.receiver, each.rate))
            await self._write(lane, slowed)
        self._show(rates)

    def _log(self, lane: Lane, slowed: Mapping[str, Slowed]) -> None:
        before = self._slowed[lane]
        for name in slowed.keys() - before.keys():
            each = slowed[name]
            rate = round(each.rate, 1)
            log.warning("receiver slowed", receiver=name, relay=lane.relay, rate=rate, reply=each.reply)
        for name in before.keys() - slowed.keys():
            log.info("receiver recovered", receiver=name, relay=lane.relay)
        self._slowed[lane] = dict(slowed)

    async def _write(self, lane: Lane, slowed: Mapping[str, Slowed]) -> None:
        governor = lane.engine.sender.governor
        counts = governor.counts()
        freed = self._stored[lane] - slowed.keys()
        try:
            await self._store.add(lane.relay, counts, slowed.values(), freed)
        except Unavailable as exc:
            governor.count_again(counts)
            self._outage.tell(exc)
        else:
            self._stored[lane] = set(slowed)
            self._outage.over()
