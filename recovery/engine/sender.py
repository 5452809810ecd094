"""The sender: everything that is claimed and not yet recorded. It bounds how much that is, sends it, and records it."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.recipient import CallOff, HeldBack
from recovery.domain.state import CheckoutState
from recovery.engine.alarms import Alarms
from recovery.engine.brake import BELIEVED_AFTER, Brake
from recovery.engine.breaker import Breaker
from recovery.engine.flight import Ended, Flight, NotSent
from recovery.engine.ports import Addresses, Checkouts, Clock, Mailer, Observer
from recovery.engine.window import Window
from recovery.errors import Unavailable

RECORD_AGAIN_AFTER = 0.2
RENEW_EVERY = 1.0
"""Seconds between looks for leases to renew."""

ASK_RELAY_EVERY = 1.0
"""Seconds between looks whether there is a relay to be asked."""

LONGEST_DROP_PAUSE = 60.0
FREE_DROPS = 2
"""How often the relay may hang up on a message without costing an attempt, though it takes others."""
DROPS_REMEMBERED = 10_000

UNSENT_FOR = 10.0
"""Seconds of hand-overs that all fail for want of time, after which an operator must know."""

TO_RECORD = 0.25
"""Which part of the grace of a stop is kept for recording what is broken off at its end."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the work in hand.

    At most `in_flight` messages are claimed and not yet recorded, fewer while the relay is slow. One that no connection
    is free for within `hand_over_within` seconds goes back. What is known when a message is claimed may be as old as
    that when its content goes out; else the database is asked again.
    """

    in_flight: int = 500
    hand_over_within: float = 0.5


@dataclass(slots=True)
class _Drops:
    count: int
    at: float


class Sender:
    """Messages in flight, by one relay. `run()` must be going on for as long as anything is sent."""

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
        jitter: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkouts = checkouts
        self._addresses = addresses
        self._mailer = mailer
        self._clock = clock
        self._observer = observer
        self._alarms = alarms
        self._limits = limits
        self._jitter = jitter
        self._monotonic = monotonic
        self.breaker = Breaker()
        self.window = Window(limits.in_flight)
        self.stopping = False
        self._in_flight = 0
        self._freed = asyncio.Event()
        self._flights: dict[str, Flight] = {}
        self._tasks: dict[Flight, asyncio.Task[Outcome]] = {}
        self._claims: set[asyncio.Task[None]] = set()
        self._ended: list[Ended] = []
        self._not_sent: list[NotSent] = []
        self._has_ended = asyncio.Event()
        self._recording = False
        self._recorded = asyncio.Event()
        self._recorded.set()
        self._drops: dict[str, _Drops] = {}
        self._unsent: tuple[float, float, str] | None = None
        self.brake = Brake()
        self._held: list[tuple[float, Ended]] = []
        self._given_up: dict[str, CheckoutState] = {}
        """Those suppressed since the relay last took a message, by checkout."""

    async def run(self) -> None:
        """Record what has been sent, and renew the leases of what has not, for ever."""
        upkeep = [asyncio.create_task(self._renew()), asyncio.create_task(self._ask_relay())]
        self._recording = True
        try:
            while True:
                await self._has_ended.wait()
                await self._record_ended()
        finally:
            self._recording = False
            for task in upkeep:
                task.cancel()

    @property
    def in_flight(self) -> int:
        """How many messages are claimed and not yet recorded."""
        return self._in_flight

    @property
    def unsent_fault(self) -> str | None:
        """Why nothing has been handed over for some time, though there was something to; None if all is well."""
        if self._unsent is None:
            return None
        since, last, why = self._unsent
        if last - since < UNSENT_FOR or self._monotonic() - last > UNSENT_FOR:
            return None
        return f"nothing could be handed over for {last - since:.0f} s: {why}"

    def room(self) -> int:
        """Return how many more messages may be claimed now."""
        if self.stopping:
            return 0
        free = max(self.window.size - self._in_flight, 0)
        return self.breaker.room(free, self._in_flight, self._monotonic())

    async def wait_for_room(self) -> int:
        """Wait until a good part of the room is free, or a probe may be made; return how much."""
        while True:
            room = self.room()
            pause = self.breaker.pause(self._monotonic())
            if room >= (1 if pause is not None else max(1, self.window.size // 4)):
                return room
            self._freed.clear()
            # While a probe is under way only its end can free anything.
            with suppress(TimeoutError):
                async with asyncio.timeout(pause + 0.001 if pause else None):
                    await self._freed.wait()

    async def recorded(self) -> None:
        """Wait until no record is outstanding that the database would not take: nobody may look before."""
        await self._recorded.wait()

    def has(self, id_: str) -> bool:
        """Return whether a message of this checkout is in flight."""
        return id_ in self._flights

    @property
    def has_suspect(self) -> bool:
        """Whether a message is in flight that has to be the only one of its kind."""
        return any(flight.suspect for flight in self._flights.values())

    def reserve(self, flights: Sequence[Flight], claim: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Take the room for these, and run their claim to its end even when whoever asked for it is cancelled."""
        self._in_flight += len(flights)
        for flight in flights:
            self._flights[flight.id] = flight
        task = asyncio.create_task(claim)
        self._claims.add(task)
        task.add_done_callback(self._claim_ended)
        return task

    def give_up(self, flights: Sequence[Flight]) -> None:
        """Let go of what was not won: there is nothing to record."""
        for flight in flights:
            del self._flights[flight.id]
        self._free(len(flights))

    def send(self, flight: Flight) -> None:
        """Send a message that is claimed, unless it is too late for that."""
        if self.stopping:
            self.end(flight, flight.broken_off("the daemon is stopping"))
            return
        sending = self._mailer.send(
            flight.checkout,
            flight.claiming.step,
            hand_over_within=self._limits.hand_over_within,
            permission=flight,
        )
        task = asyncio.create_task(sending)
        self._tasks[flight] = task
        task.add_done_callback(lambda done: self._landed(flight, done))

    def end(self, flight: Flight, outcome: Outcome) -> None:
        """Take in what a claimed message came to; it is recorded with the next batch."""
        self._ended.append(Ended(flight, outcome))
        self._has_ended.set()

    def hold_back(self, flight: Flight, why: HeldBack) -> None:
        """Skip or postpone a claimed message, or give it back; that is recorded with the next batch."""
        if isinstance(why, CallOff):
            self.end(flight, flight.called_off(why.reason))
            return
        self._drops.pop(flight.id, None)
        self._not_sent.append(NotSent(flight, why))
        self._has_ended.set()

    def begin_stop(self) -> None:
        """Claim nothing more, and break off what has not been handed over: it goes back, with its attempt."""
        self.stopping = True
        self._alarms.leaving = True
        self._let_go(everything=True)
        for flight, task in self._tasks.items():
            if not flight.handed_over:
                task.cancel()

    async def stop(self, grace: float) -> None:
        """Finish what is with the relay and record it, within `grace` seconds; give back everything else.

        What the relay has not answered by then is recorded as ambiguous. What cannot be recorded because the database
        is away is left to the end of its lease.
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
                    else:  # whoever recorded has fallen
                        await self._has_ended.wait()
                        await self._record_ended()

    def _claim_ended(self, task: asyncio.Task[None]) -> None:
        self._claims.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, Unavailable):
            self._observer.failed("claim", error)  # type: ignore[arg-type]

    def _landed(self, flight: Flight, task: "asyncio.Task[Outcome]") -> None:
        self._tasks.pop(flight, None)
        if task.cancelled():
            outcome = flight.broken_off("the daemon was told to stop")
        elif (error := task.exception()) is not None:
            # Whatever it was, the message must not be tried for ever: that attempt counts.
            kind = OutcomeKind.AMBIGUOUS if flight.handed_over else OutcomeKind.FAILED
            outcome = Outcome(kind, f"{type(error).__name__}: {error}")
            self._observer.failed("send", error)  # type: ignore[arg-type]
        else:
            outcome = task.result()
        self.end(flight, outcome)

    async def _record_ended(self) -> None:
        """Record what has ended by now: what ends while that is written goes into the next batch."""
        self._has_ended.clear()
        ended, self._ended = self._believed(self._ended), []
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
        judged = [self._judged(each, now) for each in ended]
        unsent = sum(each.outcome.kind is OutcomeKind.UNSENT for each in judged)
        handed_over = sum(each.outcome.kind.tells_of_relay for each in judged)
        self.window.tell(handed_over, unsent, self._in_flight, now)
        self._take_note(judged, handed_over, now)
        if (fault is None) != (self.breaker.fault is None):
            self._observer.relay(self.breaker.fault)
        ended_at = self._clock.now()
        for each in judged:
            self._observer.attempted(each.flight.claiming.step.name, each.outcome, ended_at - each.flight.due_at)
        for held in not_sent:
            self._observer.held_back(held.flight.claiming.step.name, held.why)
        await self._record([*judged, *not_sent])

    def _judged(self, ended: Ended, now: float) -> Ended:
        """Tell the breaker of an outcome; return the end with what it means for the message.

        A message that the relay hangs up on again and again, while it takes others, is itself at fault.
        """
        id_, outcome = ended.flight.id, ended.outcome
        passed_at = self.breaker.passed_at
        self.breaker.tell(id_, outcome, now)
        if outcome.kind is not OutcomeKind.DROPPED:
            self._drops.pop(id_, None)
            return ended
        before = self._drops.get(id_)
        if before is None and len(self._drops) >= DROPS_REMEMBERED:
            self._drops.clear()
        drops = self._drops[id_] = _Drops(before.count + 1 if before else 1, now)
        if drops.count > FREE_DROPS and before and passed_at is not None and passed_at > before.at:
            return replace(ended, outcome=replace(outcome, kind=OutcomeKind.LATER))
        pause = min(2.0 ** (drops.count - 1), LONGEST_DROP_PAUSE) * (1 + self._jitter())
        until = self._clock.now() + timedelta(seconds=pause)
        return replace(ended, outcome=replace(outcome, until=until))

    def _believed(self, ended: Sequence[Ended]) -> list[Ended]:
        """Return what is to be recorded now. A refusal is held for a moment, and may turn out to be our fault."""
        now = self._monotonic()
        found: list[Ended] = []
        for each in ended:
            kind, reply = each.outcome.kind, each.outcome.reply
            if kind is OutcomeKind.SENT:
                self.brake.passed(each.flight.id)
                self._given_up.clear()
            if not each.outcome.is_refusal or each.believed:
                found.append(each)
            elif self.brake.refused(each.flight.id, reply, now, address=kind is OutcomeKind.DEAD_ADDRESS):
                found += [_ours(other) for other in (*self._take_held(), each)]
            elif self.stopping:
                found.append(replace(each, outcome=each.flight.called_off("the daemon is stopping")))
            else:
                self._held.append((now + BELIEVED_AFTER, each))
        return found

    def _take_held(self) -> list[Ended]:
        """Return all that is held, and hold it no longer: of several connections, answers come in any order."""
        held, self._held = self._held, []
        return [ended for _, ended in held]

    def _let_go(self, *, everything: bool) -> None:
        """Have refusals recorded that nothing has spoken against in time; or give back all, at a stop."""
        now = self._monotonic()
        due = [ended for until, ended in self._held if everything or until <= now]
        self._held = [(until, ended) for until, ended in self._held if not everything and until > now]
        for ended in due:
            if everything:
                self.end(ended.flight, ended.flight.called_off("the daemon is stopping"))
            else:
                self._ended.append(replace(ended, believed=True))
                self._has_ended.set()

    def _take_note(self, judged: Sequence[Ended], handed_over: int, now: float) -> None:
        if handed_over:
            self._unsent = None
        elif why := next((each.outcome.reply for each in judged if _is_unsent(each)), None):
            since = self._unsent[0] if self._unsent is not None and now - self._unsent[1] <= UNSENT_FOR else now
            self._unsent = (since, now, why)

    async def _record(self, batch: Sequence[Ended | NotSent]) -> None:
        """Write how sends ended, until it is written or refused by its token: the relay has them, and only we know."""
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
                    await self._record([each])
                break
            else:
                break
        self._recorded.set()

    async def _write(self, batch: Sequence[Ended | NotSent]) -> None:
        now = self._clock.now()
        completions = [each.completion(now, self._jitter()) for each in batch]
        if self.brake.fault is not None and self._given_up:
            # Believed one by one before it was known to be our fault: as the brake says now, they are not dead.
            await self._addresses.found_alive(list(self._given_up.values()))
            self._given_up.clear()
        dead = [(each.flight.claiming.seen, reply) for each in batch if (reply := each.dead_reply) is not None]
        if dead:
            await self._addresses.found_dead(dead, now)
            self._given_up |= {checkout.id: checkout for checkout, _ in dead if checkout.id in self.brake.row}
        written = await self._checkouts.complete(completions)
        await self._alarms.set(written.next_at)
        for letter in written.letters:
            self._observer.buried(letter)
        for completion in completions:
            for past in completion.history:
                self._observer.decided(completion.claiming.seen.id, past)

    async def _renew(self) -> None:
        """Renew the leases of what takes long, while the relay has the word: the lease follows the work."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            self._let_go(everything=False)
            now = asyncio.get_running_loop().time()
            old = [each for each in self._tasks if now - each.leased_at > each.lease / 3]
            if not old:
                continue
            at = self._clock.now()
            try:
                await self._checkouts.renew([each.renewed(at + each.schedule.lease, now) for each in old])
            except Unavailable:
                for each in old:
                    each.leased_at = float("-inf")  # again with the next round
            except Exception as exc:  # noqa: BLE001  a lease that is not renewed does less harm than no leases
                self._observer.failed("renew leases", exc)

    async def _ask_relay(self) -> None:
        """Ask the relay whether it lets us in again, where the breaker is open and no message comes that would tell.

        Other daemons do the work of one whose relay is at fault, so that it might never be tried again.
        """
        while True:
            await asyncio.sleep(ASK_RELAY_EVERY)
            if self.breaker.fault is None or self.room() == 0:
                continue
            try:
                outcome = await self._mailer.greet()
            except Exception as exc:  # noqa: BLE001  whatever it is, the next message will tell
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


def _ours(ended: Ended) -> Ended:
    """Return a refusal as our fault, as the brake has it."""
    return replace(ended, outcome=replace(ended.outcome, kind=OutcomeKind.OUR_FAULT))


def _is_unsent(ended: Ended) -> bool:
    """Return whether a message went back for want of time: no connection came free, or the database was too slow."""
    return ended.outcome.kind is OutcomeKind.UNSENT or ended.flight.starved
