"""Turns decisions and outcomes into the writes that the store carries out: plans, claims, completions. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recovery.domain.decision import NOT_BEGUN, Decision, Rest, Send, Wait, decide, with_arms
from recovery.domain.experiments import Assignment
from recovery.domain.fields import Address
from recovery.domain.masking import masked, private
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.recipient import Postpone, Skip
from recovery.domain.retry import changes_after
from recovery.domain.schedule import OnAmbiguous, Schedule, Step
from recovery.domain.state import Cause, CheckoutState, Message, MessageState, Past, Status


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document that cannot be read as a checkout, with its fault.

    `revision` and `next_at` are the raw values of these fields. A `newer` document was written by a later version of
    Recovery, and is left alone.
    """

    id: str
    fault: str
    revision: Any = None
    next_at: Any = None
    newer: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter: a message that could not be sent, or a document that could not be read (then without a step).

    `address` is the normalised address of the message's recipient.
    """

    checkout: str
    step: str | None
    cause: Cause
    error: str
    at: datetime
    attempts: int = 0
    address: Address | None = None

    @property
    def id(self) -> str:
        """The key of the letter: one for each checkout and step, so that recording it is idempotent."""
        return f"{self.checkout}#{self.step or ''}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The write of a look that sends nothing. It applies only if the stored checkout is still as `seen`.

    `messages` are those that change, by step name. With a `next_at` of None, the checkout rests until `purge_at`, when
    it is deleted. `assigned` are its arms, if they are decided now.
    """

    seen: CheckoutState
    status: Status
    next_at: datetime | None
    purge_at: datetime | None
    messages: Mapping[str, Message]
    history: tuple[Past, ...]
    letters: tuple[DeadLetter, ...] = ()
    assigned: Assignment | None = None


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """The request to claim a checkout for sending the message of `step`, due at `due_at`.

    It applies only if the stored checkout is still as `seen`. `message` is the message once claimed: sending, with this
    attempt counted. `token` is the fencing token: only its holder may record the end of the send. `assigned` are the
    arms of the checkout, if they are decided now.
    """

    seen: CheckoutState
    schedule: Schedule
    step: Step
    due_at: datetime
    message: Message
    token: str
    owner: str
    until: datetime
    assigned: Assignment | None = None

    @property
    def checkout(self) -> CheckoutState:
        """The checkout as seen, with the arms that the claim assigns it to: what later decisions are made from."""
        return with_arms(self.seen, self.assigned)


@dataclass(frozen=True, slots=True)
class Completion:
    """The record of a send. The message is written if the claim's fencing token still matches.

    The rest (`status`, `next_at`, `purge_at`) is written only if nothing was reported meanwhile; otherwise the checkout
    is looked at again at once.
    """

    request: ClaimRequest
    message: Message
    status: Status
    next_at: datetime | None
    purge_at: datetime | None
    history: tuple[Past, ...]
    letter: DeadLetter | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a write: each checkout's stored `next_at`, and the new dead letters."""

    next_at: Mapping[str, datetime | None]
    letters: Sequence[DeadLetter] = ()


@dataclass(frozen=True, slots=True)
class RecipientQuery:
    """The query about the other checkouts of an address, beside its suppression.

    `written_since`: the earliest reminder that counts, None for none. `imminent_until`: a checkout due before then may
    be claimed at any moment. `orders`: whether the items ordered under them matter.
    """

    written_since: datetime | None
    imminent_until: datetime
    orders: bool


def planned(checkout: CheckoutState, decision: Decision, schedule: Schedule, now: datetime) -> Plan | None:
    """Return the plan that carries out a decision, or None if the checkout is already as decided."""
    status, next_at, purge_at = _follows(checkout, decision, schedule, now)
    unchanged = status is checkout.status and next_at == checkout.next_at and decision.assigned is None
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
    waits_for_claim = checkout.claim and next_at == checkout.claim.until
    if not decision.given_up and not waits_for_claim and not _is_told(checkout, decision):
        history.append(Past(at=now, decision=_in_words(decision), reason=decision.reason))
    found = [_letter(checkout, name, each, each.reply or each.reason or "", now) for name, each in messages.items()]
    letters = tuple(filter(None, found))
    return Plan(checkout, status, next_at, purge_at, messages, tuple(history), letters, decision.assigned)


def _is_told(checkout: CheckoutState, decision: Decision) -> bool:
    """Return whether the history ends with the reason of a wait that it is to have once."""
    last = checkout.history[-1].reason if checkout.history else None
    return isinstance(decision, Wait) and decision.once and decision.reason == last


def _letter(checkout: CheckoutState, step: str, message: Message, error: str, at: datetime) -> DeadLetter | None:
    """Return the dead letter of a message, or None if it is not dead."""
    if message.state is not MessageState.DEAD or message.reason is None:
        return None
    customer = checkout.facts.customer
    if customer is None:
        return DeadLetter(checkout.id, step, Cause(message.reason), masked(error), at, message.attempts)
    error = masked(error, private(customer.email, customer.name))  # an older version may have stored it unmasked
    return DeadLetter(checkout.id, step, Cause(message.reason), error, at, message.attempts, customer.address)


def claimed(
    checkout: CheckoutState, send: Send, schedule: Schedule, token: str, owner: str, now: datetime
) -> ClaimRequest:
    """Return the claim of a message: a lease, with this attempt counted.

    The hand-over of the content is recorded if a doubt about it would be fatal: where `on_ambiguous` is skip, and where
    the relay may have taken the message once before.
    """
    message = checkout.messages.get(send.step.name, NOT_BEGUN)
    ambiguous = message.ambiguous + message.may_be_taken
    begun = Message(
        state=MessageState.SENDING,
        attempts=message.attempts + 1,
        replayed_at=message.replayed_at,
        deferred_to=message.deferred_to,
        coupon=send.step.coupon,
        ambiguous=ambiguous,
        handed_over=False if ambiguous or schedule.on_ambiguous is OnAmbiguous.SKIP else None,
    )
    until = now + schedule.lease
    return ClaimRequest(checkout, schedule, send.step, send.due_at, begun, token, owner, until, send.assigned)


def completed(request: ClaimRequest, outcome: Outcome, now: datetime, jitter: float) -> Completion:
    """Return the record of an attempt, with what follows from it. `jitter` as `changes_after` has it."""
    changes = changes_after(outcome, request.message, request.schedule, now, jitter)
    tried = outcome.kind if outcome.kind is OutcomeKind.SENT else f"tried ({outcome.kind})"
    # A message that goes back may do so many times, and would push the rest out of the bounded history.
    history = None if outcome.kind in (OutcomeKind.UNSENT, OutcomeKind.CALLED_OFF) else (tried, changes["reply"])
    return _completion(request, changes, history, now, error=outcome.reply)


def held_back(request: ClaimRequest, why: Skip | Postpone, now: datetime) -> Completion:
    """Return the record of a claimed message that is skipped or postponed. No attempt was made, so none counts."""
    uncounted = {"attempts": request.message.attempts - 1, "reason": why.reason, "handed_over": None}
    match why:
        case Skip():
            changes = {**uncounted, "state": MessageState.SKIPPED}
            return _completion(request, changes, ("skipped", why.reason), now)
        case Postpone(until=until):
            changes = {**uncounted, "state": MessageState.WAITING, "deferred_to": until}
            return _completion(request, changes, ("postponed", why.reason), now)


def _completion(
    request: ClaimRequest,
    changes: Mapping[str, Any],
    history: tuple[str, str] | None,
    now: datetime,
    *,
    error: str = "",
) -> Completion:
    name, schedule = request.step.name, request.schedule
    message = request.message.model_copy(update={**changes, "due_at": request.due_at})
    after = request.checkout.model_copy(update={"claim": None, "messages": {**request.seen.messages, name: message}})
    status, next_at, purge_at = _follows(after, decide(after, schedule, now), schedule, now)
    past = () if history is None else (Past(at=now, decision=f"{history[0]} {name}", reason=history[1]),)
    letter = _letter(request.seen, name, message, error, now)
    return Completion(request, message, status, next_at, purge_at, past, letter)


def reminded_at(completion: Completion) -> datetime | None:
    """Return the time at which a reminder was sent according to a completion, or None."""
    return completion.message.sent_at if completion.request.step.kind.counts_for_gap else None


def _follows(
    checkout: CheckoutState, decision: Decision, schedule: Schedule, now: datetime
) -> tuple[Status, datetime | None, datetime | None]:
    """Return the status, `next_at` and `purge_at` that follow from a decision.

    Given-up messages are written first; the checkout is then looked at again at once.
    """
    status = Status.OPEN if checkout.status is Status.FINISHED else checkout.status
    if isinstance(decision, Send) or decision.given_up:
        return status, now, None
    if isinstance(decision, Wait):
        return status, decision.until, None
    return decision.status, None, now + schedule.retention


def _in_words(decision: Decision) -> str:
    match decision:
        case Wait(until=until):
            return f"wait until {until.isoformat(' ', 'seconds')[:19]} UTC"
        case Rest():
            return "rest"
        case _:
            return "send"
