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
from recovery.checkout import Cause, CheckoutState, Message, MessageState, Past, Status
from recovery.delivery import Outcome, OutcomeKind, settle
from recovery.ports import (
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
from recovery.schedule import NOT_BEGUN, Decision, Rest, Schedule, Send, Wait, decide
from recovery.window import Window

RECORD_AGAIN_AFTER = 0.2
REPLY_KEPT = 500


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
        mailer: Mailer,
        clock: Clock,
        observer: Observer,
        schedule: Schedule,
        owner: str,
        limits: Limits | None = None,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._checkouts = checkouts
        self._shadows = shadows
        self._mailer = mailer
        self._clock = clock
        self._observer = observer
        self._schedule = schedule
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
                decided.append((checkout, decide(checkout, self._schedule, now)))
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
                await asyncio.wait_for(self._freed.wait(), timeout)
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
            plan = self._plan_of(checkout, decision, now)
            if plan is not None:
                plans.append(plan)
            elif checkout.next_at is not None:
                alarms[checkout.id] = checkout.next_at  # the shadow is gone, as this look may tell: put it back
        if plans:
            if letters := [letter for plan in plans for letter in _letters(plan, now)]:
                await self._bury(letters)
            alarms.update(await self._checkouts.plan(plans))
            for plan in plans:
                for past in plan.history:
                    self._observer.decided(plan.seen.id, past)
        await self._set_alarms(alarms)

    def _plan_of(self, checkout: CheckoutState, decision: Decision, now: datetime) -> Plan | None:
        """Return what a decision changes, or None where the checkout is already as it ought to be."""
        status, next_at, purge_at = self._follows(checkout, decision, now)
        unchanged = status is checkout.status and next_at == checkout.next_at
        if unchanged and not decision.given_up and (next_at is not None or checkout.purge_at is not None):
            return None
        messages = {}
        history = []
        for given_up in decision.given_up:
            message = checkout.messages.get(given_up.step, NOT_BEGUN)
            messages[given_up.step] = message.model_copy(
                update={
                    "state": given_up.state,
                    "reason": given_up.cause or given_up.reason,
                    "due_at": given_up.due_at,
                }
            )
            history.append(Past(at=now, decision=f"{given_up.state} {given_up.step}", reason=given_up.reason))
        if not decision.given_up and not (checkout.claim and next_at == checkout.claim.until):
            history.append(Past(at=now, decision=_in_words(decision), reason=decision.reason))
        return Plan(checkout, status, next_at, purge_at, messages, tuple(history))

    def _follows(
        self, checkout: CheckoutState, decision: Decision, now: datetime
    ) -> tuple[Status, datetime | None, datetime | None]:
        """Return the status, `next_at` and `purge_at` that follow from a decision.

        What is given up is written first, and the checkout looked at again at once.
        """
        status = Status.OPEN if checkout.status is Status.FINISHED else checkout.status
        if isinstance(decision, Send) or decision.given_up:
            return status, now, None
        if isinstance(decision, Wait):
            return status, decision.until, None
        return decision.status, None, now + self._schedule.retention

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
        room = min(self.room(), len(due))
        if room < len(due):
            self.behind.set()
        if room == 0:
            return
        token = uuid4().hex
        sends = {}
        for checkout, decision in due[:room]:
            if isinstance(decision, Send):
                claiming = self._claiming(checkout, decision, token, now)
                sends[checkout.id] = (claiming, decision.due_at)
        self._in_flight += len(sends)
        asked_at = asyncio.get_running_loop().time()
        won: set[str] = set()
        try:
            won = await self._checkouts.claim([claiming for claiming, _ in sends.values()])
        finally:
            self._free(len(sends) - len(won))
        for id_ in won:
            task = asyncio.create_task(self._send(*sends[id_], asked_at))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def _claiming(self, checkout: CheckoutState, send: Send, token: str, now: datetime) -> Claiming:
        message = checkout.messages.get(send.step.name, NOT_BEGUN)
        begun = Message(
            state=MessageState.SENDING,
            attempts=message.attempts + 1,
            replayed_at=message.replayed_at,
        )
        return Claiming(checkout, send.step, begun, token, self._owner, now + self._schedule.lease)

    async def _send(self, claiming: Claiming, due_at: datetime, asked_at: float) -> None:
        # The claim may have taken hold as soon as it was asked for: from then on an order may have come unseen.
        left = self._limits.hand_over_within - (asyncio.get_running_loop().time() - asked_at)
        try:
            outcome = await self._mailer.send(claiming.seen, claiming.step, hand_over_within=left)
        except Exception as exc:  # noqa: BLE001  whatever it was, the message must not be tried for ever
            outcome = Outcome(OutcomeKind.AMBIGUOUS, f"{type(exc).__name__}: {exc}")
        self._ended.append(_Ended(claiming, due_at, outcome))
        self._has_ended.set()

    async def _complete(self, batch: Sequence[_Ended]) -> None:
        now = self._clock.now()
        completions, letters = [], []
        fault = self.breaker.fault
        for ended in batch:
            self.breaker.tell(ended.outcome, now)
            self._observer.attempted(ended.claiming.step.name, ended.outcome, now - ended.due_at)
            completion, letter = self._completion(ended, now)
            completions.append(completion)
            letters += [letter] if letter else []
        unsent = sum(ended.outcome.kind is OutcomeKind.UNSENT for ended in batch)
        self.window.tell(len(batch) - unsent, unsent, self._in_flight, now)
        if (fault is None) != (self.breaker.fault is None):
            self._observer.relay(self.breaker.fault)
        await self._record(completions, letters)

    async def _record(self, completions: Sequence[Completion], letters: Sequence[DeadLetter]) -> None:
        """Write how sends ended, again and again until their leases end: the relay has them, and only we know."""
        lease_ends = max(completion.claiming.until for completion in completions)
        while True:
            try:
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

    def _completion(self, ended: _Ended, now: datetime) -> tuple[Completion, DeadLetter | None]:
        """Return the record of an ended send with what follows from it, and its dead letter if it is one."""
        claiming, outcome = ended.claiming, ended.outcome
        settlement = settle(outcome, claiming.message.attempts, self._schedule, now, self._jitter())
        message = Message(
            state=settlement.state,
            attempts=settlement.attempts,
            due_at=ended.due_at,
            retry_at=settlement.retry_at,
            replayed_at=claiming.message.replayed_at,
            sent_at=now if settlement.state is MessageState.SENT else None,
            reason=settlement.cause,
            message_id=outcome.message_id,
            reply=outcome.reply[:REPLY_KEPT],
        )
        name = claiming.step.name
        after = claiming.seen.model_copy(update={"claim": None, "messages": {**claiming.seen.messages, name: message}})
        status, next_at, purge_at = self._follows(after, decide(after, self._schedule, now), now)
        tried = "sent" if outcome.kind is OutcomeKind.SENT else f"tried ({outcome.kind})"
        past = Past(at=now, decision=f"{tried} {name}", reason=outcome.reply[:REPLY_KEPT])
        letter = None
        if settlement.cause is not None:
            letter = DeadLetter(claiming.seen.id, name, settlement.cause, outcome.reply, now, settlement.attempts)
        return Completion(claiming, message, status, next_at, purge_at, (past,)), letter

    async def _bury(self, letters: Sequence[DeadLetter]) -> None:
        await self._checkouts.bury(letters)
        for letter in letters:
            self._observer.buried(letter)

    def _free(self, count: int) -> None:
        self._in_flight -= count
        self._freed.set()


def _letters(plan: Plan, now: datetime) -> list[DeadLetter]:
    return [
        DeadLetter(plan.seen.id, step, Cause(message.reason), message.reply or message.reason, now, message.attempts)
        for step, message in plan.messages.items()
        if message.state is MessageState.DEAD and message.reason is not None
    ]


def _is_clean_send(decision: Decision) -> bool:
    return isinstance(decision, Send) and not decision.given_up


def _in_words(decision: Decision) -> str:
    match decision:
        case Wait(until=until):
            return f"wait until {until:%Y-%m-%d %H:%M:%S} UTC"
        case Rest():
            return "rest"
        case _:
            return "send"
