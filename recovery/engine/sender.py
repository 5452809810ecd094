"""The sender: the messages in flight, from claim to record. It bounds their number, sends them, hears how they end.

Window, pace and stall learn from an end what it means for the relay. What it means for the message is said by
`Verdicts` and `Refusals`; the recorder writes it.
"""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from recovery.domain.checkout import shop_of
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.recipient import CallOff, HeldBack
from recovery.engine.alarms import Alarms
from recovery.engine.brake import Brake
from recovery.engine.breaker import Breaker
from recovery.engine.flight import STOPPING, Ended, Flight, NotSent
from recovery.engine.leases import Leases
from recovery.engine.limits import Limits
from recovery.engine.pace import Pace
from recovery.engine.ports import Addresses, Allowance, Checkouts, Clock, Grant, Mailer, Observer
from recovery.engine.receivers import Governor
from recovery.engine.recorder import Recorder
from recovery.engine.refusals import Refusals
from recovery.engine.stall import Stall
from recovery.engine.verdicts import Verdicts
from recovery.engine.warmup import WarmupWatch
from recovery.engine.window import Window
from recovery.errors import Unavailable

TO_RECORD = 0.25
"""The share of the grace period of a stop that is kept for recording aborted sends."""

GATHERED_FOR = 0.01
"""Seconds that the ends of sends wait for others, to be recorded together."""

WORTH_GATHERING, ENOUGH_ENDED = 64, 32
"""The ends wait only while more messages than the first are under way, and fewer than the second have ended.

That is so where the relay is far away: its replies come a few at a time, and each batch costs the database the same.
"""

LONGEST_WAIT = 60.0
"""The longest time, in seconds, until an allowance is asked again: another daemon's messages may have left it more."""


class Sender:
    """The messages in flight to one relay. `run()` must be running as long as anything is sent."""

    def __init__(
        self,
        *,
        checkouts: Checkouts,
        addresses: Addresses,
        mailer: Mailer,
        clock: Clock,
        observer: Observer,
        alarms: Alarms,
        limits: Limits,
        allowance: Allowance | None = None,
        warmup: WarmupWatch | None = None,
        governor: Governor | None = None,
        jitter: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._mailer = mailer
        self._allowance = allowance
        self.governor = governor or Governor()
        self._clock = clock
        self._observer = observer
        self._alarms = alarms
        self._limits = limits
        self._monotonic = monotonic
        self.warmup = warmup
        self.breaker = Breaker()
        self.window = Window(limits.in_flight)
        self.pace = Pace()
        self.brake = Brake()
        self._stall = Stall()
        self._verdicts = Verdicts(self.breaker, self.governor, jitter)
        self._refusals = Refusals(self.brake, held_for=limits.refusals_held_for)
        self._leases = Leases(checkouts, clock, observer)
        self._recorder = Recorder(
            checkouts=checkouts,
            addresses=addresses,
            refusals=self._refusals,
            clock=clock,
            observer=observer,
            alarms=alarms,
            jitter=jitter,
        )
        self.stopping = False
        self._not_before = 0.0
        self._in_flight = 0
        self._freed = asyncio.Event()
        self._flights: dict[str, Flight] = {}
        self._tasks: dict[Flight, asyncio.Future[Outcome]] = {}
        self._claims: set[asyncio.Task[None]] = set()
        self._ended: list[Ended] = []
        self._not_sent: list[NotSent] = []
        self._has_ended = asyncio.Event()
        self._recording = False

    async def run(self) -> None:
        """Record the ends of sends, and renew the leases of the others, for ever."""
        upkeep = [asyncio.create_task(self._renew()), asyncio.create_task(self._ask_relay())]
        self._recording = True
        try:
            while True:
                await self._has_ended.wait()
                if len(self._tasks) > WORTH_GATHERING and len(self._ended) < ENOUGH_ENDED and not self.stopping:
                    await asyncio.sleep(GATHERED_FOR)
                await self._record_ended()
        finally:
            self._recording = False
            for task in upkeep:
                task.cancel()

    @property
    def in_flight(self) -> int:
        """The number of messages that are claimed and not yet recorded."""
        return self._in_flight

    @property
    def unsent_fault(self) -> str | None:
        """The reason why no hand-over has succeeded for some time though messages were claimed, or None."""
        return self._stall.fault(self._monotonic())

    @property
    def paced_rate(self) -> float | None:
        """The rate in messages a second that the relay bears, as far as it throttles; None if it does not."""
        return self.pace.rate(self._monotonic())

    def room(self) -> int:
        """Return the number of messages that may be claimed now."""
        return self._room(self._monotonic())

    def _room(self, now: float) -> int:
        if self.stopping or now < self._not_before:
            return 0
        free = self.breaker.room(max(self.window.size - self._in_flight, 0), self._in_flight, now)
        paced = self.pace.room(now)
        return free if paced is None else min(free, paced)

    async def wait_for_room(self) -> int:
        """Wait until there is room for a batch, or for a probe of the relay; return the room."""
        while True:
            now = self._monotonic()  # for all questions the same, or room that comes between two would be missed
            room = self._room(now)
            if room >= self._batch(now):
                return room
            self._freed.clear()
            pause = max(self.breaker.pause(now) or 0.0, self.pace.pause(now), self._not_before - now)
            # While a probe is under way only its end can free anything.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause + 0.001 if pause else None):
                    await self._freed.wait()

    def _batch(self, now: float) -> int:
        """Return the room that is worth waiting for: the window's batch, or less if breaker or pace limit it."""
        if self.breaker.pause(now) is not None:
            return 1
        batch = self.window.batch
        return batch if self.pace.rate(now) is None else min(batch, self.pace.batch(now))

    async def allowed(self, wanted: int, urgent: int) -> Grant:
        """Return the part of the `wanted` messages that the configured rates and the warm-up leave, and count it.

        The warm-up does not hold back the `urgent` among them. Raises `Unavailable`.
        """
        if self._allowance is None or wanted == 0:
            return Grant(wanted)
        limit = None if self.warmup is None else await self.warmup.today()
        grant = await self._allowance.take(wanted, urgent=urgent, limit=limit)
        if grant.count < wanted:
            self._not_before = self._monotonic() + min(grant.wait, LONGEST_WAIT)
        return grant

    async def recorded(self) -> None:
        """Wait until every record that the database refused is written: no look may come before it."""
        await self._recorder.recorded()

    def has(self, id_: str) -> bool:
        """Return whether a message of this checkout is in flight."""
        return id_ in self._flights

    @property
    def has_suspect(self) -> bool:
        """Whether a suspect message is in flight, of which there may be one at a time."""
        return any(flight.suspect for flight in self._flights.values())

    def reserve(self, flights: Sequence[Flight], claim: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Reserve room for these flights, and run their claim to its end even if the caller is cancelled."""
        self._in_flight += len(flights)
        self.pace.take(len(flights))
        for flight in flights:
            self._flights[flight.id] = flight
        task = asyncio.create_task(claim)
        self._claims.add(task)
        task.add_done_callback(self._claim_ended)
        return task

    def give_up(self, flights: Sequence[Flight]) -> None:
        """Free the room of flights that have nothing to record, or no more."""
        for flight in flights:
            del self._flights[flight.id]
        self._free(len(flights))

    def send(self, flight: Flight) -> None:
        """Send a claimed message, unless the daemon is stopping."""
        if self.stopping:
            self.end(flight, flight.broken_off(STOPPING))
            return
        sending = self._mailer.send(
            flight.checkout,
            flight.request.step,
            hand_over_within=self._limits.hand_over_within,
            permission=flight,
        )
        task = asyncio.ensure_future(sending)
        self._tasks[flight] = task
        task.add_done_callback(lambda done: self._landed(flight, done))

    def end(self, flight: Flight, outcome: Outcome) -> None:
        """End a flight with an outcome, which is recorded with the next batch."""
        self._ended.append(Ended(flight, outcome, heard_at=asyncio.get_running_loop().time()))
        self._has_ended.set()

    def hold_back(self, flight: Flight, why: HeldBack) -> None:
        """End a flight by skipping, postponing or giving back its message, which is recorded with the next batch."""
        if isinstance(why, CallOff):
            self.end(flight, flight.called_off(why.reason))
            return
        self._verdicts.forget(flight.id)
        self._not_sent.append(NotSent(flight, why))
        self._has_ended.set()

    def begin_stop(self) -> None:
        """Claim nothing more, and abort messages not yet handed over: they go back, without counting an attempt."""
        self.stopping = True
        self._alarms.leaving = True
        for held in self._refusals.release():
            self.end(held.flight, held.flight.called_off(STOPPING))
        for flight, task in self._tasks.items():
            if not flight.handed_over:
                task.cancel()

    async def stop(self, grace: float) -> None:
        """Finish and record the messages with the relay, within `grace` seconds; give back all others.

        A message that the relay has not answered by then is recorded as ambiguous. One that cannot be recorded because
        the database is unavailable is left to the end of its lease.
        """
        self.begin_stop()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + grace
        await self._until_recorded(ends_at - grace * TO_RECORD)
        for task in self._tasks.values():
            task.cancel()
        await self._until_recorded(ends_at)

    async def _until_recorded(self, ends_at: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at(ends_at):
                while self._in_flight:
                    if self._recording:
                        self._freed.clear()
                        await self._freed.wait()
                    else:  # the recording task has failed
                        await self._has_ended.wait()
                        await self._record_ended()

    def _claim_ended(self, task: asyncio.Task[None]) -> None:
        self._claims.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, Unavailable):
            self._observer.failed("claim", error)  # type: ignore[arg-type]

    def _landed(self, flight: Flight, task: "asyncio.Future[Outcome]") -> None:
        self._tasks.pop(flight, None)
        if task.cancelled():
            outcome = flight.broken_off(STOPPING)
        elif (error := task.exception()) is not None:
            # Whatever it was, the attempt counts: the message must not be tried for ever.
            kind = OutcomeKind.AMBIGUOUS if flight.handed_over else OutcomeKind.FAILED
            outcome = Outcome(kind, f"{type(error).__name__}: {error}")
            self._observer.failed("send", error)  # type: ignore[arg-type]
        else:
            outcome = task.result()
        self.end(flight, outcome)

    async def _record_ended(self) -> None:
        """Record the flights that have ended; those that end meanwhile go into the next batch."""
        self._has_ended.clear()
        ended = self._refusals.sift(self._ended, self._monotonic(), stopping=self.stopping)
        self._ended = []
        not_sent, self._not_sent = self._not_sent, []
        if not ended and not not_sent:
            return
        try:
            await self._complete(ended, not_sent)
        except asyncio.CancelledError:
            self._ended = [*ended, *self._ended]
            self._not_sent = [*not_sent, *self._not_sent]
            self._has_ended.set()
            raise
        self.give_up([each.flight for each in ended] + [each.flight for each in not_sent])

    async def _complete(self, ended: Sequence[Ended], not_sent: Sequence[NotSent]) -> None:
        now = self._monotonic()
        fault = self.breaker.fault
        ended_at = self._clock.now()
        verdicts = [self._verdicts.on(each, now, ended_at) for each in ended]
        judged = [each for each, _ in verdicts]
        throttled = sum(by_relay for _, by_relay in verdicts)
        unsent = sum(each.outcome.kind is OutcomeKind.UNSENT for each in judged)
        handed_over = sum(each.outcome.kind.tells_of_relay for each in judged)
        self.window.tell(handed_over, unsent, self._in_flight, now)
        self.pace.tell(sum(each.outcome.kind is OutcomeKind.SENT for each in judged), throttled, now)
        self._stall.tell(judged, now)
        if (fault is None) != (self.breaker.fault is None):
            self._observer.relay(self.breaker.fault)
        for each in judged:
            claim = each.flight.request
            self._observer.attempted(shop_of(each.flight.id), claim.step.name, each.outcome, ended_at - claim.due_at)
        for held in not_sent:
            self._observer.held_back(held.flight.request.step.name, held.why)
        await self._recorder.record([*judged, *not_sent])

    async def _renew(self) -> None:
        """Renew the leases of slow sends, and record the refusals that nothing has contradicted."""
        while True:
            await asyncio.sleep(self._limits.renew_every)
            if believed := self._refusals.believed(self._monotonic()):
                self._ended += believed
                self._has_ended.set()
            await self._leases.renew(self._tasks)

    async def _ask_relay(self) -> None:
        """Probe the relay by a login while the breaker is open, as no message may come that would probe it.

        Other daemons take over the work of one whose relay is at fault, so that it might never be tried again.
        """
        while True:
            await asyncio.sleep(self._limits.ask_relay_every)
            if self.breaker.fault is None or self.room() == 0:
                continue
            try:
                outcome = await self._mailer.greet()
            except Exception as exc:  # noqa: BLE001  whatever it is, the next message will show it
                self._observer.failed("ask the relay", exc)
                continue
            if outcome is not None:
                self.breaker.tell("", outcome, self._monotonic())
            else:
                self.breaker.let_in()
                self._observer.relay(None)

    def _free(self, count: int) -> None:
        self._in_flight -= count
        self._freed.set()
