"""Fakes of the engine's ports, in memory."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from recovery.domain.decision import NOT_BEGUN, with_arms
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.recipient import Postpone, RecipientHistory, Skip
from recovery.domain.schedule import Step
from recovery.domain.state import Cause, CheckoutState, Claim, Message, MessageState, Past
from recovery.engine.ports import Permission
from recovery.engine.writes import ClaimRequest, Completion, DeadLetter, Plan, RecipientQuery, Unreadable, Written
from recovery.errors import Unavailable
from tests.support.builders import NOON


class SetClock:
    """A clock that stands until it is set."""

    def __init__(self, now: datetime = NOON) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time


class Store:
    """The ports Checkouts and Shadows in memory, with the same guards as the real ones."""

    def __init__(self, clock: SetClock, *states: CheckoutState) -> None:
        self.clock = clock
        self.kept = {each.id: each for each in states}
        self.alarms: dict[str, datetime] = {}
        self.letters: list[DeadLetter] = []
        self.unavailable = 0
        """Number of next calls that fail."""

    def report(self, id_: str, **changes: Any) -> None:
        """Write as intake does: facts, one revision on, to be looked at now."""
        kept = self.kept[id_]
        news = {"revision": kept.revision + 1, "next_at": self.clock.now(), "purge_at": None}
        self.kept[id_] = kept.model_copy(update=changes | news)

    def due(self) -> list[str]:
        return [id_ for id_, kept in self.kept.items() if kept.next_at is not None and kept.next_at <= self.clock.now()]

    def _ask(self) -> None:
        if self.unavailable:
            self.unavailable -= 1
            raise Unavailable("the database is having a rest")

    def _unchanged(self, seen: CheckoutState) -> bool:
        kept = self.kept.get(seen.id)
        fields = ("status", "revision", "next_at", "claim")
        return kept is not None and all(getattr(kept, field) == getattr(seen, field) for field in fields)

    async def load(self, ids: Sequence[str]) -> tuple[list[CheckoutState], list[Unreadable]]:
        self._ask()
        return [self.kept[id_] for id_ in ids if id_ in self.kept], []

    async def plan(self, plans: Sequence[Plan]) -> Written:
        self._ask()
        letters: list[DeadLetter] = []
        for plan in plans:
            if self._unchanged(plan.seen):
                letters += plan.letters
                waits_for_claim = plan.seen.claim and plan.next_at == plan.seen.claim.until
                self._write(
                    plan.seen.id,
                    plan.history,
                    plan.messages,
                    status=plan.status,
                    next_at=plan.next_at,
                    purge_at=plan.purge_at,
                    claim=plan.seen.claim if waits_for_claim else None,
                    experiments=with_arms(plan.seen, plan.assigned).experiments,
                )
        self.letters += letters
        return Written({plan.seen.id: self.kept[plan.seen.id].next_at for plan in plans}, letters)

    async def claim(self, claims: Sequence[ClaimRequest]) -> set[str]:
        self._ask()
        won = set()
        for claim in claims:
            if self._unchanged(claim.seen):
                held = {"token": claim.token, "owner": claim.owner, "until": claim.until}
                after = {"next_at": claim.until, "experiments": claim.checkout.experiments}
                self._write(claim.seen.id, (), {claim.step.name: claim.message}, claim=Claim(**held), **after)
                won.add(claim.seen.id)
        return won

    async def held(self, claims: Sequence[ClaimRequest]) -> set[str]:
        self._ask()
        return {claim.seen.id for claim in claims if self._holds(claim)}

    async def hand_over(self, claims: Sequence[ClaimRequest]) -> set[str]:
        held = await self.held(claims)
        for claim in claims:
            if claim.seen.id in held:
                message = self.kept[claim.seen.id].messages[claim.step.name]
                handed_over = message.model_copy(update={"handed_over": True})
                self._write(claim.seen.id, (), {claim.step.name: handed_over})
        return held

    async def renew(self, claims: Sequence[ClaimRequest]) -> None:
        self._ask()
        for claim in claims:
            kept = self.kept.get(claim.seen.id)
            if kept is not None and kept.claim is not None and kept.claim.token == claim.token:
                held = kept.claim.model_copy(update={"until": claim.until})
                self._write(claim.seen.id, (), {}, claim=held, next_at=claim.until)

    @staticmethod
    def _is_claimed_by(kept: CheckoutState, claim: ClaimRequest) -> bool:
        return kept.claim is not None and kept.claim.token == claim.token

    @staticmethod
    def _has_lapsed(kept: CheckoutState, claim: ClaimRequest) -> bool:
        message = kept.messages.get(claim.step.name, NOT_BEGUN)
        begun = (MessageState.SENDING, claim.message.attempts)
        return kept.claim is None and (message.state, message.attempts) == begun

    def _holds(self, claim: ClaimRequest) -> bool:
        kept = self.kept.get(claim.seen.id)
        held = kept is not None and kept.claim is not None and kept.claim.token == claim.token
        return held and kept.revision == claim.seen.revision

    async def complete(self, completions: Sequence[Completion]) -> Written:
        self._ask()
        letters: list[DeadLetter] = []
        for each in completions:
            id_ = each.request.seen.id
            kept = self.kept.get(id_)
            if kept is None or not (self._is_claimed_by(kept, each.request) or self._has_lapsed(kept, each.request)):
                continue
            letters += [each.letter] if each.letter is not None else []
            messages = {each.request.step.name: each.message}
            if kept.revision == each.request.seen.revision and kept.claim is not None:
                after = {"status": each.status, "next_at": each.next_at, "purge_at": each.purge_at}
            else:
                after = {"next_at": self.clock.now()}
            self._write(id_, each.history, messages, claim=None, **after)
        self.letters += letters
        ids = [each.request.seen.id for each in completions if each.request.seen.id in self.kept]
        return Written({id_: self.kept[id_].next_at for id_ in ids}, letters)

    async def set_aside(self, documents: Sequence[Unreadable], at: datetime, purge_at: datetime) -> Written:
        letters = [DeadLetter(each.id, None, Cause.INVALID, each.fault, at) for each in documents]
        self.letters += letters
        for each in documents:
            if each.id in self.kept:
                self._write(each.id, (), {}, next_at=None, purge_at=purge_at, claim=None)
        return Written({each.id: None for each in documents}, letters)

    async def set(self, alarms: Mapping[str, datetime | None]) -> None:
        for id_, at in alarms.items():
            if at is None:
                self.alarms.pop(id_, None)
            else:
                self.alarms[id_] = at

    def _write(self, id_: str, history: Sequence[Past], messages: Mapping[str, Message], **changes: Any) -> None:
        kept = self.kept[id_]
        merged = {**kept.messages, **messages}
        self.kept[id_] = kept.model_copy(update={"messages": merged, "history": (*kept.history, *history), **changes})


class AddressBook:
    """The port Addresses: knows what it was told, and notes what was asked."""

    def __init__(self) -> None:
        self.known: dict[str, RecipientHistory] = {}
        """By checkout id; all that nothing is said of is left out."""
        self.later: list[dict[str, RecipientHistory]] = []
        """What takes the place of `known`, one after each time it was asked."""
        self.asked: list[tuple[list[str], RecipientQuery]] = []
        self.dead: list[str] = []
        self.unavailable = 0

    async def histories(
        self, checkouts: Sequence[CheckoutState], query: RecipientQuery
    ) -> Mapping[str, RecipientHistory]:
        self.asked.append(([each.id for each in checkouts], query))
        if self.unavailable:
            self.unavailable -= 1
            raise Unavailable("the database is having a rest")
        answer = {each.id: self.known[each.id] for each in checkouts if each.id in self.known}
        if self.later:
            self.known = self.later.pop(0)
        return answer

    async def found_dead(self, found: Sequence[tuple[CheckoutState, str]], at: datetime) -> None:
        self.dead += [each.facts.customer.email for each, _ in found if each.facts.customer]

    async def found_alive(self, checkouts: Sequence[CheckoutState]) -> None:
        self.dead = [email for email in self.dead if email not in {each.facts.customer.email for each in checkouts}]


class Relay:
    """The port Mailer: takes every message, or ends as it was told to."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.outcomes: list[Outcome] = []
        """Outcomes of the next attempts; if empty, sent."""
        self.within: list[float] = []
        """How many seconds each had left to be handed over."""
        self.seen: list[CheckoutState] = []
        """The checkouts that messages were to be made of."""
        self.slow: Any = None
        """An async function of the checkout, awaited before the content is handed over."""
        self.before: Any = None
        """An async function of the checkout, awaited after that and before the relay has answered."""
        self.closed: Outcome | None = None
        """Why it lets nobody in."""

    async def send(
        self, checkout: CheckoutState, step: Step, *, hand_over_within: float, permission: Permission
    ) -> Outcome:
        self.within.append(hand_over_within)
        self.seen.append(checkout)
        if self.slow is not None:
            await self.slow(checkout)
        if why_not := await permission.refused():
            return Outcome(OutcomeKind.UNSENT, why_not)
        permission.used()
        if self.before is not None:
            await self.before(checkout)
        outcome = self.outcomes.pop(0) if self.outcomes else Outcome(OutcomeKind.SENT, "250 2.0.0 taken")
        if outcome.kind is OutcomeKind.SENT:
            self.taken.append((checkout.id, step.name))
        return outcome

    async def greet(self) -> Outcome | None:
        return self.closed


class Witness:
    """The port Observer: remembers."""

    def __init__(self) -> None:
        self.looks: list[tuple[str, int]] = []
        self.decisions: list[tuple[str, Past]] = []
        self.attempts: list[tuple[str, Outcome, timedelta]] = []
        self.held: list[tuple[str, Skip | Postpone]] = []
        self.faults: list[str | None] = []
        self.letters: list[DeadLetter] = []
        self.newer_ones: list[str] = []
        self.errors: list[tuple[str, Exception]] = []
        self.days: list[tuple[int, int | None]] = []
        self.halts: list[str | None] = []

    def looked(self, cause: str, count: int) -> None:
        self.looks.append((cause, count))

    def decided(self, checkout: str, past: Past) -> None:
        self.decisions.append((checkout, past))

    def attempted(self, _: str, step: str, outcome: Outcome, lateness: timedelta) -> None:
        self.attempts.append((step, outcome, lateness))

    def held_back(self, step: str, why: Skip | Postpone) -> None:
        self.held.append((step, why))

    def relay(self, fault: str | None) -> None:
        self.faults.append(fault)

    def newer(self, checkout: str) -> None:
        self.newer_ones.append(checkout)

    def failed(self, what: str, error: Exception) -> None:
        self.errors.append((what, error))

    def buried(self, letter: DeadLetter) -> None:
        self.letters.append(letter)

    def warming(self, day: int, limit: int | None) -> None:
        self.days.append((day, limit))

    def warmup_halted(self, fault: str | None) -> None:
        self.halts.append(fault)
