"""The records of receivers: stores what each relay said of the messages to them, and logs which are slowed.

All daemons of a database slow a receiver together: each reads what the others have stored, and takes its part of the
rate.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import structlog

from recovery.daemon.lanes import Lane
from recovery.daemon.outage import Outage
from recovery.domain.receivers import OTHERS
from recovery.domain.reputation import cap
from recovery.engine.ports import Clock
from recovery.engine.receivers import Slowed
from recovery.errors import Unavailable
from recovery.mongo.receivers import MongoReceivers, Reception

STORED_EVERY = 5.0
"""Seconds between two passes: a write for each relay, of everything since the last, and one query for all."""

log = structlog.get_logger()


class ReceiverRecords:
    """The records of receivers, of all lanes. `show` gets the rates of those that are slowed, with each pass.

    `daemons` returns the number of daemons that share the work.
    """

    def __init__(
        self,
        store: MongoReceivers,
        lanes: Sequence[Lane],
        clock: Clock,
        show: Callable[[Mapping[str, float]], None] = lambda _: None,
        monotonic: Callable[[], float] = time.monotonic,
        *,
        daemons: Callable[[], int] = lambda: 1,
    ) -> None:
        self._daemons = daemons
        self._store = store
        self._lanes = lanes
        self._clock = clock
        self._show = show
        self._monotonic = monotonic
        self._slowed: dict[Lane, dict[str, Slowed]] = {lane: {} for lane in lanes}
        self._stored: dict[Lane, dict[str, datetime | None]] = {lane: {} for lane in lanes}
        """The receivers that are stored as slowed, and when each was last known to throttle us."""
        self._outage = Outage(task="receivers")

    async def resume(self) -> None:
        """Go on with the receivers that were slowed before the start."""
        for reception in await self._read({}):
            for lane in self._of(reception):
                self._stored[lane][reception.receiver] = reception.slowed.limited_at if reception.slowed else None

    async def run(self) -> None:
        """Log and store for ever, at intervals."""
        while True:
            await asyncio.sleep(STORED_EVERY)
            await self.store()

    async def store(self) -> None:
        """Log the receivers that are newly slowed, or free again; store them and what was counted; hear the others."""
        rates: dict[str, float] = {}
        counted: dict[Lane, set[str]] = {}
        for lane in self._lanes:
            slowed = {each.receiver: each for each in lane.engine.sender.governor.slowed(self._monotonic())}
            self._log(lane, slowed)
            for each in slowed.values():
                rates[each.receiver] = min(each.rate, rates.get(each.receiver, each.rate))
            counted[lane] = await self._write(lane, slowed)
        self._show(rates)
        await self._read(counted)

    def _log(self, lane: Lane, slowed: Mapping[str, Slowed]) -> None:
        before = self._slowed[lane]
        for name in slowed.keys() - before.keys():
            each = slowed[name]
            rate = round(each.rate, 1)
            log.warning("receiver slowed", receiver=name, relay=lane.relay, rate=rate, reply=each.reply)
        for name in before.keys() - slowed.keys():
            log.info("receiver recovered", receiver=name, relay=lane.relay)
        self._slowed[lane] = dict(slowed)

    async def _write(self, lane: Lane, slowed: Mapping[str, Slowed]) -> set[str]:
        """Store the counts of a lane and which receivers are slowed; return the receivers with counts."""
        governor = lane.engine.sender.governor
        counts = governor.counts()
        freed = {name: limited_at for name, limited_at in self._stored[lane].items() if name not in slowed}
        try:
            await self._store.add(lane.relay, counts, slowed.values(), freed)
        except Unavailable as exc:
            governor.count_again(counts)
            self._outage.tell(exc)
            return set()
        self._stored[lane] = {each.receiver: each.limited_at for each in slowed.values()}
        return {receiver for receiver, _ in counts} - {OTHERS}

    async def _read(self, counted: Mapping[Lane, Iterable[str]]) -> Sequence[Reception]:
        """Hear what others have stored, and judge our reputation with the receivers that were counted or are slowed."""
        at = self._clock.now()
        asked = {(lane.relay, receiver) for lane, receivers in counted.items() for receiver in receivers}
        try:
            found = await self._store.heard({lane.relay for lane in self._lanes}, at, asked)
        except Unavailable as exc:
            self._outage.tell(exc)
            return ()
        self._outage.over()
        now = self._monotonic()
        lanes = Counter(lane.relay for lane in self._lanes)
        for lane in self._lanes:
            lane.engine.sender.governor.part = 1 / (self._daemons() * lanes[lane.relay])
        for reception in found:
            slowed = reception.slowed
            capped = cap(reception.day, capped=slowed is not None and slowed.capped)
            for lane in self._of(reception):
                governor = lane.engine.sender.governor
                governor.cap(reception.receiver, capped, now, at)
                governor.hear([slowed] if slowed else [], now, at)
        return found

    def _of(self, reception: Reception) -> Iterable[Lane]:
        return (lane for lane in self._lanes if lane.relay == reception.relay)
