"""The engine: `look()` moves checkouts from what they are to what they ought to be.

Load, decide, plan, claim, send, complete: each is one round trip for a batch. `look()` may be called at any time, any
number of times, for any reason, by any daemon. What is due and finds no room stays due in the database.
"""

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from recovery.breaker import Breaker
from recovery.checkout import Cause, CheckoutState, normalised, shop_of
from recovery.delivery import Outcome, OutcomeKind
from recovery.per_shop import PerShop
from recovery.ports import (
    Addresses,
    Ask,
    Checkouts,
    Claiming,
    Clock,
    Completion,
    DeadLetter,
    Mailer,
    Observer,
    Plan,
    Shadows,
    StoreUnavailable,
    Unreadable,
)
from recovery.records import claimed, completed, letter_of, letters_of, planned
from recovery.schedule import CONFIRMATION, Decision, Schedule, Send, StopOn, decide
from recovery.standing import NOTHING_KNOWN, UNKNOWN, Standing, still_wanted, withheld
from recovery.window import Window

RECORD_AGAIN_AFTER = 0.2


@dataclass(frozen=True, slots=True)
class Limits:
    """What bounds the work in hand.

    `in_flight` messages are claimed and not yet recorded at the most, fewer while the relay is slow. One that no
    connection is free for within `hand_over_within` seconds goes back: an order may have come since it was claimed.
    """

    in_flight: int = 500
    hand_over_within: float = 0.5


@dataclass(frozen=True, slots=True)
class _Ended:
    claiming: Claiming
    due_at: datetime
    outcome: Outcome


class Engine:
    """Looks at checkouts and sends what is due. `owner` is this daemon's name on its claims.

    `behind` is set while more is due than there is room for: then somebody must look at what is due until nothing is.
    """

    def __init__(
        self,
        *,
        checkouts: Checkouts,
        shadows: Shadows,
        addresses: Addresses,
        mailer: Mailer,
        clock: Clock,
        observer: Observer,
        schedules: PerShop[Schedule],
        owner: str,
        limits: Limits | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._checkouts = checkouts
        self._shadows = shadows
        self._addresses = addresses
        self._mailer = mailer
        self._clock = clock
        self._observer = observer
        self._schedules = schedules
        self._owner = owner
        self._limits = limits or Limits()
        self._jitter = jitter
        self.breaker = Breaker()
        self.window = Window(self._limits.in_flight)
        self.behind = asyncio.Event()
        self.on_alarm: Callable[[datetime], None] = lambda _: None
        """Called with the earliest time of the shadows just set, so that the expirer can wake for it."""
        self._stopping = False
        self._in_flight = 0
        self._freed = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._ended: list[_Ended] = []
        self._has_ended = asyncio.Event()

    async def run(self) -> None:
        """Record what has been sent, for ever: what ends while one batch is written goes into the next."""
        while True:
            await self._has_ended.wait()
            self._has_ended.clear()
            batch, self._ended = self._ended, []
            try:
                await self._complete(batch)
            finally:
                self._free(len(batch))

    async def look(self, ids: Collection[str], cause: str) -> None:
        """Look at these checkouts: plan what is to wait or to rest, claim what is due and start to send it.

        Returns once all that is decided is written; the sends go on. `cause` says who asked. Raises
        `StoreUnavailable`.
        """
        checkouts, unreadable = await self._checkouts.load(list(ids))
        self._observer.looked(cause, len(ids))
        now = self._clock.now()
        decided: list[tuple[CheckoutState, Decision]] = []
        for checkout in checkouts:
            try:
                decided.append((checkout, decide(checkout, self._schedules.of(checkout.id), now)))
            except (ArithmeticError, ValueError) as exc:  # dates that were put there by hand, beyond all calendars
                unreadable.append(Unreadable(checkout.id, f"cannot be decided on: {exc}"))
        if unreadable:
            await self._bury([DeadLetter(each.id, None, Cause.INVALID, each.fault, now) for each in unreadable])
            await self._shadows.set({each.id: None for each in unreadable})
        await self._plan([(checkout, d) for checkout, d in decided if not _is_clean_send(d)], now)
        await self._claim([(checkout, d) for checkout, d in decided if isinstance(d, Send) and not d.given_up], now)

    @property
    def in_flight(self) -> int:
        """How many messages are claimed and not yet recorded."""
        return self._in_flight

    def room(self) -> int:
        """Return how many more messages may be claimed now."""
        if self._stopping:
            return 0
        free = max(self.window.size - self._in_flight, 0)
        return self.breaker.room(free, self._in_flight, self._clock.now())

    async def wait_for_room(self) -> int:
        """Wait until a good part of the room is free, or a probe may be made; return how much."""
        while True:
            room = self.room()
            pause = self.breaker.pause(self._clock.now())
            if room >= (1 if pause is not None else max(1, self.window.size // 4)):
                return room
            self._freed.clear()
            try:
                # While a probe is under way only its end can free anything.
                timeout = pause.total_seconds() + 0.001 if pause else None
                async with asyncio.timeout(timeout):
                    await self._freed.wait()
            except TimeoutError:
                continue

    async def stop(self, grace: float) -> None:
        """Take no new work; finish what is with the relay and record it, within `grace` seconds, while `run()` goes on.

        What is not finished by then is left to the end of its lease.
        """
        self._stopping = True
        try:
            async with asyncio.timeout(grace):
                while self._in_flight:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            for task in self._sending:
                task.cancel()

    async def _plan(self, decided: Sequence[tuple[CheckoutState, Decision]], now: datetime) -> None:
        plans: list[Plan] = []
        alarms: dict[str, datetime | None] = {}
        for checkout, decision in decided:
            plan = planned(checkout, decision, self._schedules.of(checkout.id), now)
            if plan is not None:
                plans.append(plan)
            elif checkout.next_at is not None:
                alarms[checkout.id] = checkout.next_at  # the shadow is gone, as this look may tell: put it back
        if plans:
            if letters := [letter for plan in plans for letter in letters_of(plan, now)]:
                await self._bury(letters)
            alarms.update(await self._checkouts.plan(plans))
            for plan in plans:
                for past in plan.history:
                    self._observer.decided(plan.seen.id, past)
        await self._set_alarms(alarms)

    async def _set_alarms(self, alarms: Mapping[str, datetime | None]) -> None:
        """Make the shadows what `next_at` says. What is due already needs no alarm: it is looked at now."""
        now = self._clock.now()
        later = {id_: at for id_, at in alarms.items() if at is None or at > now}
        if len(later) < len(alarms):
            self.behind.set()
        if later:
            await self._shadows.set(later)
            if times := [at for at in later.values() if at is not None]:
                self.on_alarm(min(times))

    async def _claim(self, due: Sequence[tuple[CheckoutState, Decision]], now: datetime) -> None:
        sends = self._chosen(due, now)
        if not sends:
            return
        self._in_flight += len(sends)
        asked_at = asyncio.get_running_loop().time()
        won: set[str] = set()
        try:
            won, standings = await asyncio.gather(
                self._checkouts.claim([claiming for claiming, _ in sends.values()]),
                self._standings([claiming.seen for claiming, _ in sends.values()], now),
            )
        finally:
            self._free(len(sends) - len(won))
        if standings and (contested := [id_ for id_ in won if standings.get(id_, NOTHING_KNOWN).contested]):
            # Of two that claim and then look, one at least sees the other.
            again = await self._standings([sends[id_][0].seen for id_ in contested], now)
            standings = None if again is None else {**standings, **dict.fromkeys(contested, NOTHING_KNOWN), **again}
        for id_ in won:
            claiming, due_at = sends[id_]
            standing = UNKNOWN if standings is None else standings.get(id_)
            if standing is not None and (outcome := self._withheld(claiming, standing, now)):
                self._end(_Ended(claiming, due_at, outcome))
                continue
            task = asyncio.create_task(self._send(claiming, due_at, standing, asked_at))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def _chosen(
        self, due: Sequence[tuple[CheckoutState, Decision]], now: datetime
    ) -> dict[str, tuple[Claiming, datetime]]:
        """Return what to claim: as much as there is room for, and one reminder for each address."""
        room = min(self.room(), len(due))
        token = uuid4().hex
        sends: dict[str, tuple[Claiming, datetime]] = {}
        addresses: set[tuple[str, str]] = set()
        for checkout, decision in due:
            if len(sends) == room or not isinstance(decision, Send):
                break
            schedule = self._schedules.of(checkout.id)
            if schedule.min_gap_per_address and decision.step is not schedule.confirmation and checkout.facts.customer:
                address = (shop_of(checkout.id), normalised(checkout.facts.customer.email))
                if address in addresses:
                    continue
                addresses.add(address)
            claiming = claimed(checkout, decision, token, self._owner, now + schedule.lease)
            sends[checkout.id] = (claiming, decision.due_at)
        if len(sends) < len(due):
            self.behind.set()
        return sends

    async def _standings(self, checkouts: Sequence[CheckoutState], now: datetime) -> Mapping[str, Standing] | None:
        """Return what is known of these checkouts' addresses, by checkout id; None if that cannot be known now."""
        schedules = [self._schedules.of(checkout.id) for checkout in checkouts]
        gap = max(schedule.min_gap_per_address for schedule in schedules)
        ask = Ask(
            written_since=now - gap if gap else None,
            imminent_until=now + max(schedule.lease for schedule in schedules),
            orders=any(schedule.stop_on is StopOn.CUSTOMER for schedule in schedules),
        )
        try:
            return await self._addresses.standings(checkouts, ask)
        except StoreUnavailable:
            return None

    def _withheld(self, claiming: Claiming, standing: Standing, now: datetime) -> Outcome | None:
        schedule = self._schedules.of(claiming.seen.id)
        return withheld(claiming.seen, claiming.step, standing, schedule, now, self._jitter())

    async def _send(self, claiming: Claiming, due_at: datetime, standing: Standing | None, asked_at: float) -> None:
        # The claim may have taken hold as soon as it was asked for: from then on an order may have come unseen.
        left = self._limits.hand_over_within - (asyncio.get_running_loop().time() - asked_at)
        checkout = claiming.seen
        if standing is not None and standing.others and claiming.step.name != CONFIRMATION:
            facts = still_wanted(checkout, standing, self._schedules.of(checkout.id))
            checkout = checkout.model_copy(update={"facts": facts})
        try:
            outcome = await self._mailer.send(checkout, claiming.step, hand_over_within=left)
        except Exception as exc:  # noqa: BLE001  whatever it was, the message must not be tried for ever
            outcome = Outcome(OutcomeKind.AMBIGUOUS, f"{type(exc).__name__}: {exc}")
        self._end(_Ended(claiming, due_at, outcome))

    def _end(self, ended: _Ended) -> None:
        self._ended.append(ended)
        self._has_ended.set()

    async def _complete(self, batch: Sequence[_Ended]) -> None:
        now = self._clock.now()
        completions, letters = [], []
        fault = self.breaker.fault
        for ended in batch:
            self.breaker.tell(ended.outcome, now)
            self._observer.attempted(ended.claiming.step.name, ended.outcome, now - ended.due_at)
            schedule = self._schedules.of(ended.claiming.seen.id)
            completion = completed(ended.claiming, ended.due_at, ended.outcome, schedule, now, self._jitter())
            completions.append(completion)
            if (letter := letter_of(completion, ended.outcome, now)) is not None:
                letters.append(letter)
        unsent = sum(ended.outcome.kind is OutcomeKind.UNSENT for ended in batch)
        handed_over = sum(ended.outcome.kind.tells_of_relay for ended in batch)
        self.window.tell(handed_over, unsent, self._in_flight, now)
        if (fault is None) != (self.breaker.fault is None):
            self._observer.relay(self.breaker.fault)
        dead = [each.claiming.seen for each in batch if each.outcome.kind is OutcomeKind.DEAD_ADDRESS]
        await self._record(completions, letters, dead, now)

    async def _record(
        self,
        completions: Sequence[Completion],
        letters: Sequence[DeadLetter],
        dead: Sequence[CheckoutState],
        now: datetime,
    ) -> None:
        """Write how sends ended, again and again until their leases end: the relay has them, and only we know."""
        lease_ends = max(completion.claiming.until for completion in completions)
        while True:
            try:
                if dead:
                    await self._addresses.found_dead(dead, now)
                if letters:
                    await self._bury(letters)
                await self._set_alarms(await self._checkouts.complete(completions))
                break
            except StoreUnavailable:
                if self._clock.now() >= lease_ends:
                    return
                await asyncio.sleep(RECORD_AGAIN_AFTER)
        for completion in completions:
            for past in completion.history:
                self._observer.decided(completion.claiming.seen.id, past)

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        await self._checkouts.bury(letters)
        for letter in letters:
            self._observer.buried(letter)

    def _free(self, count: int) -> None:
        self._in_flight -= count
        self._freed.set()


def _is_clean_send(decision: Decision) -> bool:
    return isinstance(decision, Send) and not decision.given_up
