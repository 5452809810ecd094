"""The sender: the messages in flight, from claim to record. It bounds their number, sends them, records the ends."""

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
"""Seconds between renewals of leases."""

ASK_RELAY_EVERY = 1.0
"""Seconds between checks whether the relay is to be probed."""

LONGEST_DROP_PAUSE = 60.0
FREE_DROPS = 2
"""Connections that the relay may drop during one message, while it takes others, before an attempt counts."""
DROPS_REMEMBERED = 10_000

UNSENT_FOR = 10.0
"""Seconds in which no hand-over succeeds in time, after which that is a fault for the operator."""

TO_RECORD = 0.25
"""The share of the grace period of a stop that is kept for recording aborted sends."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a sender.

    At most `in_flight` messages are claimed and not yet recorded, fewer while the relay is slow. A message goes back if
    no connection is free within `hand_over_within` seconds. The facts of a claim may be as old as that when the content
    is sent; if they are older, the database is asked again.
    """

    in_flight: int = 500
    hand_over_within: float = 0.5


@dataclass(slots=True)
class _Drops:
    count: int
    at: float


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
        self._tasks: dict[Flight, asyncio.Future[Outcome]] = {}
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
        self._doubted: list[tuple[float, Ended]] = []
        self._given_up: dict[str, CheckoutState] = {}
        """The checkouts whose addresses were suppressed since the relay last took a message, by id."""

    async def run(self) -> None:
        """Record the ends of sends, and renew the leases of the others, for ever."""
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
        """The number of messages that are claimed and not yet recorded."""
        return self._in_flight

    @property
    def unsent_fault(self) -> str | None:
        """The reason why no hand-over has succeeded for some time though messages were claimed, or None."""
        if self._unsent is None:
            return None
        since, last, why = self._unsent
        if last - since < UNSENT_FOR or self._monotonic() - last > UNSENT_FOR:
            return None
        return f"nothing could be handed over for {last - since:.0f} s: {why}"

    def room(self) -> int:
        """Return the number of messages that may be claimed now."""
        if self.stopping:
            return 0
        free = max(self.window.size - self._in_flight, 0)
        return self.breaker.room(free, self._in_flight, self._monotonic())

    async def wait_for_room(self) -> int:
        """Wait until a quarter of the window is free, or a probe may be made; return the room."""
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
        """Wait until every record that the database refused is written: no look may come before."""
        await self._recorded.wait()

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
            self.end(flight, flight.broken_off("the daemon is stopping"))
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
        self._ended.append(Ended(flight, outcome))
        self._has_ended.set()

    def hold_back(self, flight: Flight, why: HeldBack) -> None:
        """End a flight by skipping, postponing or giving back its message, which is recorded with the next batch."""
        if isinstance(why, CallOff):
            self.end(flight, flight.called_off(why.reason))
            return
        self._drops.pop(flight.id, None)
        self._not_sent.append(NotSent(flight, why))
        self._has_ended.set()

    def begin_stop(self) -> None:
        """Claim nothing more, and abort messages not yet handed over: they go back, without counting an attempt."""
        self.stopping = True
        self._alarms.leaving = True
        self._let_go(everything=True)
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
            outcome = flight.broken_off("the daemon is stopping")
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
            claim = each.flight.request
            self._observer.attempted(claim.step.name, each.outcome, ended_at - claim.due_at)
        for held in not_sent:
            self._observer.held_back(held.flight.request.step.name, held.why)
        await self._record([*judged, *not_sent])

    def _judged(self, ended: Ended, now: float) -> Ended:
        """Report an outcome to the breaker; return the end with its meaning for the message.

        A message on which the relay hangs up repeatedly, while it takes others, is itself at fault.
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
        """Return the ends to record now. A permanent refusal is held for a moment: it may be our fault."""
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
                found += [_ours(other) for other in (*self._take_doubted(), each)]
            elif self.stopping:
                found.append(replace(each, outcome=each.flight.called_off("the daemon is stopping")))
            else:
                self._doubted.append((now + BELIEVED_AFTER, each))
        return found

    def _take_doubted(self) -> list[Ended]:
        """Return all held refusals, and release them: answers on several connections come in any order."""
        doubted, self._doubted = self._doubted, []
        return [ended for _, ended in doubted]

    def _let_go(self, *, everything: bool) -> None:
        """Record held refusals that nothing has contradicted in time; or give back all, at a stop."""
        now = self._monotonic()
        due = [ended for until, ended in self._doubted if everything or until <= now]
        self._doubted = [(until, ended) for until, ended in self._doubted if not everything and until > now]
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
        """Write the ends of sends until they are stored or fenced off: the relay has the mails, and only we know it."""
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
            # These were believed before the brake found the fault to be ours: the addresses are not dead.
            await self._addresses.found_alive(list(self._given_up.values()))
            self._given_up.clear()
        dead = [(each.flight.request.seen, reply) for each in batch if (reply := each.dead_reply) is not None]
        if dead:
            await self._addresses.found_dead(dead, now)
            self._given_up |= {checkout.id: checkout for checkout, _ in dead if checkout.id in self.brake.row}
        written = await self._checkouts.complete(completions)
        await self._alarms.set(written.next_at)
        for letter in written.letters:
            self._observer.buried(letter)
        for completion in completions:
            for past in completion.history:
                self._observer.decided(completion.request.seen.id, past)

    async def _renew(self) -> None:
        """Renew the leases of slow sends: a lease lasts as long as the work."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            self._let_go(everything=False)
            now = asyncio.get_running_loop().time()
            old = [each for each in self._tasks if now - each.leased_at > each.lease / 3]
            if not old:
                continue
            at = self._clock.now()
            try:
                await self._checkouts.renew([each.renewed(at + each.request.schedule.lease, now) for each in old])
            except Unavailable:
                for each in old:
                    each.leased_at = float("-inf")  # again with the next round
            except Exception as exc:  # noqa: BLE001  a lease that is not renewed does less harm than no leases
                self._observer.failed("renew leases", exc)

    async def _ask_relay(self) -> None:
        """Probe the relay by a login while the breaker is open, as no message may come that would probe it.

        Other daemons take over the work of one whose relay is at fault, so that it might never be tried again.
        """
        while True:
            await asyncio.sleep(ASK_RELAY_EVERY)
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


def _ours(ended: Ended) -> Ended:
    """Return a refusal as our fault, as the brake judges it."""
    return replace(ended, outcome=replace(ended.outcome, kind=OutcomeKind.OUR_FAULT))


def _is_unsent(ended: Ended) -> bool:
    """Return whether a message went back for lack of time: no connection was free, or the database was too slow."""
    return ended.outcome.kind is OutcomeKind.UNSENT or ended.flight.starved
