"""The recorder: writes the ends of flights until they are stored or fenced off. A record is never given up."""

import asyncio
import random
from collections.abc import Callable, Sequence

from recovery.engine.alarms import Alarms
from recovery.engine.flight import Ended, NotSent
from recovery.engine.ports import Addresses, Checkouts, Clock, Observer
from recovery.engine.refusals import Refusals
from recovery.errors import Unavailable

RECORD_AGAIN_AFTER = 0.2


class Recorder:
    """Records how flights ended: the relay has the mails, and only we know it."""

    def __init__(
        self,
        *,
        checkouts: Checkouts,
        addresses: Addresses,
        refusals: Refusals,
        clock: Clock,
        observer: Observer,
        alarms: Alarms,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._checkouts = checkouts
        self._addresses = addresses
        self._refusals = refusals
        self._clock = clock
        self._observer = observer
        self._alarms = alarms
        self._jitter = jitter
        self._recorded = asyncio.Event()
        self._recorded.set()

    async def recorded(self) -> None:
        """Wait until every record that the database refused is written."""
        await self._recorded.wait()

    async def record(self, batch: Sequence[Ended | NotSent]) -> None:
        """Record how these flights ended, however often the database must be asked."""
        while True:
            try:
                await self._write(batch)
            except Unavailable:
                self._recorded.clear()
                await asyncio.sleep(RECORD_AGAIN_AFTER)
            except Exception as exc:  # noqa: BLE001  one that cannot be written must not take its neighbours along
                if len(batch) == 1:
                    self._observer.failed(f"record {batch[0].flight.id}", exc)
                    break
                for each in batch:
                    await self.record([each])
                break
            else:
                break
        self._recorded.set()

    async def _write(self, batch: Sequence[Ended | NotSent]) -> None:
        now = self._clock.now()
        completions = [each.completion(now, self._jitter()) for each in batch]
        if innocent := self._refusals.to_lift:
            await self._addresses.found_alive(innocent)
            self._refusals.lifted()
        dead = [(each.flight.request.seen, reply) for each in batch if (reply := each.dead_reply) is not None]
        if dead:
            await self._addresses.found_dead(dead, now)
            self._refusals.suppressed(checkout for checkout, _ in dead)
        written = await self._checkouts.complete(completions)
        await self._alarms.set(written.next_at)
        for letter in written.letters:
            self._observer.buried(letter)
        for completion in completions:
            for past in completion.history:
                self._observer.decided(completion.request.seen.id, past)
