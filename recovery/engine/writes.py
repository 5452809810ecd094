"""What is to be written: decisions and outcomes as plans, claims and completions.

Pure: from what was seen, what was decided and the time to the record, for the ports to carry out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from recovery.domain.decision import NOT_BEGUN, Decision, Rest, Send, Wait, decide
from recovery.domain.fields import normalised
from recovery.domain.masking import masked, private
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.recipient import Postpone, Skip
from recovery.domain.retry import settle
from recovery.domain.schedule import OnAmbiguous, Schedule, Step
from recovery.domain.state import Cause, CheckoutState, Message, MessageState, Past, Status


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A document that is not a checkout, with what is wrong with it.

    `revision` and `next_at` are what it has in their places, whatever that is. One that is `newer` was written by a
    later version of Recovery, and is left alone.
    """

    id: str
    fault: str
    revision: Any = None
    next_at: Any = None
    newer: bool = False


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that could not be sent, or a document that could not be read (then without a step).

    `address` is whom the message was to, normalised.
    """

    checkout: str
    step: str | None
    cause: Cause
    error: str
    at: datetime
    attempts: int = 0
    address: str | None = None

    @property
    def id(self) -> str:
        """The key of the letter: there is one for each checkout and step."""
        return f"{self.checkout}#{self.step or ''}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The outcome of a look without a send. Takes hold only where `seen` is still what is kept.

    `messages` are those that change, by step name. A `next_at` of None lets the checkout rest until `purge_at`, when
    it is purged.
    """

    seen: CheckoutState
    status: Status
    next_at: datetime | None
    purge_at: datetime | None
    messages: Mapping[str, Message]
    history: tuple[Past, ...]
    letters: tuple[DeadLetter, ...] = ()


@dataclass(frozen=True, slots=True)
class Claiming:
    """A wish to send the message of `step`. Takes hold only where `seen` is still what is kept.

    `message` is how it stands once claimed: sending, with this attempt counted.
    """

    seen: CheckoutState
    step: Step
    message: Message
    token: str
    owner: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of a send. The message is recorded wherever the claim's token still stands.

    The rest (`status`, `next_at`, `purge_at`) only where nothing was reported meanwhile; otherwise the checkout is to
    be looked at again at once.
    """

    claiming: Claiming
    message: Message
    status: Status
    next_at: datetime | None
    purge_at: datetime | None
    history: tuple[Past, ...]
    letter: DeadLetter | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What holds after a write: each checkout's `next_at` as it is kept, and the dead letters that came of it."""

    next_at: Mapping[str, datetime | None]
    letters: Sequence[DeadLetter] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked of the other checkouts of an address, beside whether it is suppressed.

    `written_since`: which reminders count, None for none. `imminent_until`: what is due before then may be claimed at
    any moment. `orders`: whether it matters what was bought under them.
    """

    written_since: datetime | None
    imminent_until: datetime
    orders: bool


def planned(checkout: CheckoutState, decision: Decision, schedule: Schedule, now: datetime) -> Plan | None:
    """Return what a decision changes, or None where the checkout is already as it ought to be."""
    status, next_at, purge_at = _follows(checkout, decision, schedule, now)
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
    letters = [_letter(checkout, name, each, each.reply or each.reason or "", now) for name, each in messages.items()]
    return Plan(checkout, status, next_at, purge_at, messages, tuple(history), tuple(filter(None, letters)))


def _letter(checkout: CheckoutState, step: str, message: Message, error: str, at: datetime) -> DeadLetter | None:
    """Return the dead letter of a message, if it is dead."""
    if message.state is not MessageState.DEAD or message.reason is None:
        return None
    customer = checkout.facts.customer
    if customer is None:
        return DeadLetter(checkout.id, step, Cause(message.reason), masked(error), at, message.attempts)
    error = masked(error, private(customer.email, customer.name))  # an older version may have kept it as it was said
    address = normalised(customer.email)
    return DeadLetter(checkout.id, step, Cause(message.reason), error, at, message.attempts, address)


def claimed(checkout: CheckoutState, send: Send, schedule: Schedule, token: str, owner: str, now: datetime) -> Claiming:
    """Return the claim of a message, with this attempt counted, until its lease ends.

    Where a second doubt could not be borne, it is kept whether the content went out: for who would rather skip than
    write twice, and for what may have been taken before.
    """
    message = checkout.messages.get(send.step.name, NOT_BEGUN)
    ambiguous = message.ambiguous + message.may_be_taken
    begun = Message(
        state=MessageState.SENDING,
        attempts=message.attempts + 1,
        replayed_at=message.replayed_at,
        deferred_to=message.deferred_to,
        ambiguous=ambiguous,
        handed_over=False if ambiguous or schedule.on_ambiguous is OnAmbiguous.SKIP else None,
    )
    return Claiming(checkout, send.step, begun, token, owner, now + schedule.lease)


def completed(
    claiming: Claiming, due_at: datetime, outcome: Outcome, schedule: Schedule, now: datetime, jitter: float
) -> Completion:
    """Return the record of an attempt, with what follows from it. `jitter` as `settle` has it."""
    message = settle(outcome, claiming.message, schedule, now, jitter)
    tried = outcome.kind if outcome.kind is OutcomeKind.SENT else f"tried ({outcome.kind})"
    # What goes back for want of a connection, say, goes round, and would push what is worth knowing out of the history.
    history = None if outcome.kind in (OutcomeKind.UNSENT, OutcomeKind.CALLED_OFF) else (tried, message.reply or "")
    return _completion(claiming, due_at, message, history, schedule, now, error=outcome.reply)


def held_back(
    claiming: Claiming, due_at: datetime, why: Skip | Postpone, schedule: Schedule, now: datetime
) -> Completion:
    """Return the record of a claimed message that is skipped or postponed. No attempt was made, so none counts."""
    message = claiming.message
    uncounted = {"attempts": message.attempts - 1, "reason": why.reason, "handed_over": None}
    match why:
        case Skip():
            message = message.model_copy(update={**uncounted, "state": MessageState.SKIPPED})
            return _completion(claiming, due_at, message, ("skipped", why.reason), schedule, now)
        case Postpone(until=until):
            changes = {"state": MessageState.WAITING, "deferred_to": until}
            message = message.model_copy(update=uncounted | changes)
            return _completion(claiming, due_at, message, ("postponed", why.reason), schedule, now)


def _completion(
    claiming: Claiming,
    due_at: datetime,
    message: Message,
    history: tuple[str, str] | None,
    schedule: Schedule,
    now: datetime,
    *,
    error: str = "",
) -> Completion:
    name = claiming.step.name
    message = message.model_copy(update={"due_at": due_at})
    after = claiming.seen.model_copy(update={"claim": None, "messages": {**claiming.seen.messages, name: message}})
    status, next_at, purge_at = _follows(after, decide(after, schedule, now), schedule, now)
    past = () if history is None else (Past(at=now, decision=f"{history[0]} {name}", reason=history[1]),)
    letter = _letter(claiming.seen, name, message, error, now)
    return Completion(claiming, message, status, next_at, purge_at, past, letter)


def reminded_at(completion: Completion) -> datetime | None:
    """Return when a completion says that a reminder was sent, if it does."""
    return completion.message.sent_at if completion.claiming.step.kind.counts_for_gap else None


def _follows(
    checkout: CheckoutState, decision: Decision, schedule: Schedule, now: datetime
) -> tuple[Status, datetime | None, datetime | None]:
    """Return the status, `next_at` and `purge_at` that follow from a decision.

    What is given up is written first, and the checkout looked at again at once.
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
            return f"wait until {until:%Y-%m-%d %H:%M:%S} UTC"
        case Rest():
            return "rest"
        case _:
            return "send"
