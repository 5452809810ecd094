"""The engine: `look()` loads checkouts, decides about them, and carries the decisions out. It is level-triggered.

Load, decide, plan, claim: each is one round trip for a batch; a claimed message goes to the sender. `look()` is
idempotent: call it at any time, any number of times, for any reason, from any daemon. A due message for which there is
no room stays due in the database.
"""

import asyncio
import random
import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from recovery.domain.checkout import shop_of
from recovery.domain.decision import Send, Wait, decide
from recovery.domain.fields import Address
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.per_shop import PerShop
from recovery.domain.recipient import UNKNOWN, Postpone, still_wanted
from recovery.domain.schedule import MessageKind, Schedule
from recovery.domain.state import CheckoutState
from recovery.domain.warmup import again_at
from recovery.engine.ahead import Ahead
from recovery.engine.alarms import Alarms
from recovery.engine.case import Case
from recovery.engine.flight import Flight, is_suspect
from recovery.engine.last_check import LastCheck
from recovery.engine.limits import Limits
from recovery.engine.pauses import KnownPauses
from recovery.engine.ports import Addresses, Allowance, Checkouts, Clock, Mailer, Observer, Shadows
from recovery.engine.receivers import Governor
from recovery.engine.recipients import Recipients
from recovery.engine.sender import Sender
from recovery.engine.turns import Turns
from recovery.engine.warmup import WarmupWatch
from recovery.engine.writes import Plan, Unreadable, claimed, planned
from recovery.errors import Unavailable

LOOKED_BESIDE_CLAIM = 0.05
"""The longest duration, in seconds, of a claim for which an answer asked for at the same time is fresh enough."""

FIRST_PART, LARGEST_PART, SMALLEST_PART = 100, 500, 16
ITEMS_TOGETHER = 4000
"""Items of the checkouts that are loaded together: with texts of a kilobyte each they take some 16 MB."""

PARTS_IN_HAND = 3
"""Batches that are in memory at a time."""

WARMING_UP = "the warm-up allows no more of these today"
"""The reason why the warm-up holds back a message."""

LOOKED_AGAIN_AFTER = timedelta(seconds=0.5)
"""The pause before a checkout that had to wait for something other than room is looked at again."""

OWNERS_TURN = 3.0
"""Seconds after an outage in which an expired lease is left to its owner, who may be about to record its send."""


class Engine:
    """Looks at checkouts, and passes due messages to its sender. `owner` is this daemon's name on its claims.

    `expect` is told of each checkout that is looked at: it may get messages.
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
        limits: Limits,
        allowance: Allowance | None = None,
        warmup: WarmupWatch | None = None,
        governor: Governor | None = None,
        pauses: KnownPauses | None = None,
        expect: Callable[[CheckoutState], None] = lambda _: None,
        jitter: Callable[[], float] = random.random,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkouts = checkouts
        self._clock = clock
        self._observer = observer
        self._schedules = schedules
        self._owner = owner
        self._limits = limits
        self.pauses = pauses or KnownPauses()
        self._expect = expect
        self._jitter = jitter
        self._monotonic = monotonic
        self._outage_at: float | None = None
        self._part = FIRST_PART
        self._in_hand = asyncio.Semaphore(PARTS_IN_HAND)
        self._recipients = Recipients(addresses, clock, jitter, self.outage)
        self._last_check = LastCheck(checkouts, self._recipients.held_back_now)
        self.alarms = Alarms(shadows, clock, monotonic)
        self.sender = Sender(
            checkouts=checkouts,
            addresses=addresses,
            mailer=mailer,
            clock=clock,
            observer=observer,
            alarms=self.alarms,
            limits=self._limits,
            allowance=allowance,
            warmup=warmup,
            governor=governor,
            jitter=jitter,
            monotonic=monotonic,
        )
        self._turns = Turns(self.sender.governor, jitter, monotonic)
        self.ahead = Ahead(
            checkouts=checkouts,
            sender=self.sender,
            alarms=self.alarms,
            clock=clock,
            observer=observer,
            is_paused=self.pauses.cover,
            decided=self._decided,
            has_to_wait=lambda checkout: self.pauses.cover(checkout.id) or self._turns.needed(checkout),
            claim=self._claim,
            at_most=lambda: min(self.sender.room(), self._part),
        )

    @property
    def behind(self) -> asyncio.Event:
        """Set while more is due than there is room for; the sweep then looks at due checkouts until none is left."""
        return self.alarms.behind

    async def look(self, ids: Collection[str], cause: str) -> None:
        """Look at these checkouts: write the plans of those that wait or rest, claim due messages and start to send.

        It returns when all decisions are written; the sends go on. `cause` is the reason for the look, for metrics.
        Raises `Unavailable`.
        """
        waiting = list(ids)
        try:
            while waiting:
                async with self._in_hand:
                    await self.sender.recorded()
                    part, waiting = waiting[: self._part], waiting[self._part :]
                    self._part = _next_part(await self._look(part, cause))
        except Unavailable:
            self.outage()
            raise

    def outage(self) -> None:
        """Note that the database does not answer, wherever that was noticed."""
        self._outage_at = self._monotonic()

    async def _look(self, ids: Sequence[str], cause: str) -> Sequence[CheckoutState]:
        self.ahead.leave(ids)
        checkouts, unreadable = await self._checkouts.load(ids)
        asked = {id_: number for number, id_ in enumerate(ids)}
        checkouts.sort(key=lambda checkout: asked[checkout.id])  # the caller knows which come first
        self._observer.looked(cause, len(ids))
        now = self._clock.now()
        cases: list[Case] = []
        paused: dict[str, datetime | None] = {}
        for checkout in checkouts:
            try:
                case = self._decided(checkout, now)
            except Exception as exc:  # noqa: BLE001  a date edited in the database, say, that no calculation can hold
                fault = f"cannot be decided on: {exc}"
                unreadable.append(Unreadable(checkout.id, fault, checkout.revision, checkout.next_at))
                continue
            if case.is_clean_send and self.pauses.cover(checkout.id):
                paused[checkout.id] = checkout.next_at
            else:
                cases.append(self._turns.of(case, now))
        if unreadable:
            await self._set_aside(unreadable, now)
        await self._plan([case for case in cases if not case.is_clean_send], now)
        # What is paused stays due, without a write, and without anybody being asked to look again.
        await self.alarms.set({id_: at for id_, at in paused.items() if at is not None and at > now})
        await self._claim([case for case in cases if case.is_clean_send])
        return checkouts

    def _decided(self, checkout: CheckoutState, at: datetime) -> Case:
        self._expect(checkout)
        schedule = self._schedules.of(checkout.id)
        return Case(checkout, schedule, decide(checkout, schedule, at))

    async def _set_aside(self, documents: Sequence[Unreadable], now: datetime) -> None:
        """Put unreadable documents to rest, except those of a newer version, which looks at them itself."""
        for each in documents:
            if each.newer:
                self._observer.newer(each.id)
        if ours := [each for each in documents if not each.newer]:
            retention = max(self._schedules.of(each.id).retention for each in ours)
            written = await self._checkouts.set_aside(ours, now, now + retention)
            await self.alarms.set(written.next_at)
            for letter in written.letters:
                self._observer.buried(letter)

    async def _plan(self, cases: Sequence[Case], now: datetime) -> None:
        plans: list[Plan] = []
        alarms: dict[str, datetime | None] = {}
        for case in cases:
            checkout = case.checkout
            plan = planned(checkout, case.decision, case.schedule, now)
            if plan is not None:
                plans.append(plan)
            elif checkout.next_at is not None:
                alarms[checkout.id] = checkout.next_at  # its expired shadow may be the cause of this look: set it again
        await self._write(plans, alarms)

    async def _write(self, plans: Sequence[Plan], alarms: dict[str, datetime | None]) -> None:
        """Write plans, and set these alarms and theirs."""
        if plans:
            written = await self._checkouts.plan(plans)
            alarms.update(written.next_at)
            for letter in written.letters:
                self._observer.buried(letter)
            for plan in plans:
                for past in plan.history:
                    self._observer.decided(plan.seen.id, past)
        await self.alarms.set(alarms)

    async def _claim(self, due: Sequence[Case]) -> list[str]:
        """Claim due messages and start to send them; return the ids of the claims that were won."""
        flights, waiting = self._chosen(due)
        if flights:
            # The chosen messages are reserved before anything is awaited, or another look would choose them as well. A
            # claim may succeed though its look is cancelled, so it always runs to its end.
            await asyncio.shield(self.sender.reserve(flights, self._claim_and_send(flights)))
        won = [flight.id for flight in flights if self.sender.has(flight.id)]
        if waiting:  # for others, not for room: to look again at once would be in vain
            at = self._clock.now() + LOOKED_AGAIN_AFTER
            await self.alarms.set(dict.fromkeys(waiting, at))
        return won

    async def _claim_and_send(self, flights: Sequence[Flight]) -> None:
        flights = await self._allowed(flights)
        if not flights:
            return
        flying = {flight.id: flight for flight in flights}
        claims = [flight.request for flight in flights]
        asked_at = self._monotonic()
        try:
            won, histories = await asyncio.gather(self._checkouts.claim(claims), self._recipients.histories(claims))
        except BaseException as exc:
            # Some claims may have succeeded: each is given back by its token when the database answers again.
            why = f"the claim was not acknowledged: {exc}"
            for flight in flights:
                flight.starved = True
                self.sender.end(flight, Outcome(OutcomeKind.CALLED_OFF, why))
            raise
        self.sender.give_up([flight for flight in flights if flight.id not in won])
        in_order = [flight.id for flight in flights if flight.id in won]
        took_long = self._monotonic() - asked_at > LOOKED_BESIDE_CLAIM
        if histories is not None:
            again = [flying[id_].request for id_ in in_order]
            histories = await self._recipients.asked_again(again, histories, all_=took_long)
        for id_ in in_order:
            flight = flying[id_]
            history = UNKNOWN if histories is None else histories.get(id_)
            if history is not None and history.paused is not None:
                self.pauses.found(history.paused)
            if history is not None and (held := self._recipients.held_back(flight.request, history)):
                self.sender.hold_back(flight, held)
                continue
            if history is not None and history.others and flight.request.step.kind is MessageKind.REMINDER:
                facts = still_wanted(flight.checkout, history, flight.request.schedule)
                flight.checkout = flight.checkout.model_copy(update={"facts": facts})
            self.sender.send(flight)

    async def _allowed(self, flights: Sequence[Flight]) -> Sequence[Flight]:
        """Return the flights that the relay's configured rates and its warm-up leave, confirmations first.

        What the rates hold back stays due. What the warm-up holds back is put off: it must not keep confirmations
        waiting that are due after it.
        """
        flights = sorted(flights, key=lambda flight: flight.request.step.kind.waits_for_warmup)
        urgent = sum(not flight.request.step.kind.waits_for_warmup for flight in flights)
        allowed: Sequence[Flight] = ()
        try:
            grant = await self.sender.allowed(len(flights), urgent)
            left = len(flights) - grant.put_off
            if grant.put_off:
                await self._put_off(flights[left:], grant.put_off_for)
            allowed = flights[: grant.count]
        finally:
            self.sender.give_up(flights[len(allowed) :])
        if len(allowed) < left:
            self.behind.set()
        return allowed

    async def _put_off(self, flights: Sequence[Flight], wait: float) -> None:
        """Put off what the warm-up holds back; if that cannot be written, it stays due."""
        now = self._clock.now()
        held = [
            (flight, Wait(again_at(now, wait, self._jitter()), WARMING_UP, once=True, assigned=flight.request.assigned))
            for flight in flights
        ]
        plans = [planned(flight.request.seen, why, flight.request.schedule, now) for flight, why in held]
        try:
            await self._write(list(filter(None, plans)), {})
        except Unavailable:
            self.outage()
            self.behind.set()
        else:
            for flight, why in held:
                self._observer.held_back(flight.request.step.name, Postpone(why.until, why.reason))

    def _chosen(self, due: Sequence[Case]) -> tuple[list[Flight], list[str]]:
        """Return the flights to claim, and the ids of checkouts that must wait.

        Flights: as many as there is room for, and one reminder per address. Waiting: messages that are in flight, that
        their owner may be about to record, or that are suspected of crashing their sender while another such is sent.
        """
        room = min(self.sender.room(), len(due))
        token, now, known_at = uuid4().hex, self._clock.now(), asyncio.get_running_loop().time()
        flights: list[Flight] = []
        addresses: set[tuple[str, Address]] = set()
        suspect = self.sender.has_suspect
        waiting: list[str] = []
        for case in due:
            checkout, schedule, decision = case.checkout, case.schedule, case.decision
            if len(flights) == room or not isinstance(decision, Send):
                break
            if self.sender.has(checkout.id) or self._is_owners_turn(checkout):
                waiting.append(checkout.id)
                continue
            if is_suspect(checkout, decision.step.name):
                if suspect:
                    waiting.append(checkout.id)
                    continue
                suspect = True
            if schedule.min_gap_per_address and decision.step.kind.counts_for_gap and checkout.facts.customer:
                address = (shop_of(checkout.id), checkout.facts.customer.address)
                if address in addresses:
                    continue
                addresses.add(address)
            flights.append(
                Flight(
                    claimed(checkout, decision, schedule, token, self._owner, now),
                    known_at=known_at,
                    fresh_for=self._limits.hand_over_within,
                    last_check=self._last_check,
                    stopping=lambda: self.sender.stopping,
                    clock=self._clock,
                )
            )
        if len(flights) + len(waiting) < len(due):
            self.behind.set()
        return flights, waiting

    def _is_owners_turn(self, checkout: CheckoutState) -> bool:
        """Return whether an expired lease is left alone: after an outage its owner may be about to record its send."""
        if self._outage_at is None or checkout.claim is None or checkout.claim.owner == self._owner:
            return False
        return self._monotonic() - self._outage_at < OWNERS_TURN


def _next_part(checkouts: Sequence[CheckoutState]) -> int:
    """Return the size of the next batch of checkouts, by the number of items in the last one."""
    if not checkouts:
        return LARGEST_PART
    items = sum(len(checkout.facts.items) for checkout in checkouts) / len(checkouts)
    return max(SMALLEST_PART, min(LARGEST_PART, int(ITEMS_TOGETHER / max(items, 1))))
