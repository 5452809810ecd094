"""What an operator may do with one checkout: send its next message now, skip or postpone one, pause, resume. Pure.

An operation only moves what the next decision is made from: whether a mail is sent, and when, is still decided by
`decide()` and the last check of the recipient. None is possible with a message that is being sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from recovery.domain.decision import NOT_BEGUN, Wait, decide, left
from recovery.domain.schedule import Schedule, Step
from recovery.domain.state import CheckoutState, Message, MessageState, Pause, Status
from recovery.errors import RecoveryError

LONGEST_POSTPONED = timedelta(days=365)


class NotPossible(RecoveryError):
    """The operation is not possible with the checkout as it is now; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Operator:
    """Who does it, and where: as in `olga`, `in the console`."""

    name: str
    place: str

    @property
    def reason(self) -> str:
        """The reason that the history gives."""
        return f"requested by {self.name} {self.place}"


@dataclass(frozen=True, slots=True)
class Change:
    """The change of an operation: its name in the history, and the messages and fields that it sets.

    The checkout is looked at as soon as it is written.
    """

    decision: str
    messages: Mapping[str, Message] = field(default_factory=dict)
    fields: Mapping[str, Any] = field(default_factory=dict)

    def applied(self, seen: CheckoutState, now: datetime) -> CheckoutState:
        """Return the checkout as the change leaves it."""
        changed = {"messages": {**seen.messages, **self.messages}, **self.fields, "next_at": now, "purge_at": None}
        return seen.model_copy(update=changed)


def send_now(checkout: CheckoutState, schedule: Schedule, name: str | None, now: datetime) -> Change:
    """Return the change that makes the next message due now; with a name, if that is the next one.

    Consent, suppressions, quiet hours and the gap between mails hold for it as for every message. Raises `NotPossible`.
    """
    step = _next(checkout, schedule, name, now)
    due = {"state": MessageState.WAITING, "reason": None, "replayed_at": now, "deferred_to": None, "retry_at": None}
    return Change(f"send {step.name} now", {step.name: _message(checkout, step).model_copy(update=due)})


def skip(checkout: CheckoutState, schedule: Schedule, name: str | None, operator: Operator, now: datetime) -> Change:
    """Return the change that skips a message, by default the next one. Raises `NotPossible`."""
    step = _next(checkout, schedule, None, now) if name is None else _named(checkout, schedule, name)
    skipped = {"state": MessageState.SKIPPED, "reason": f"skipped by {operator.name}", "retry_at": None}
    return Change(f"skip {step.name}", {step.name: _message(checkout, step).model_copy(update=skipped)})


def postpone(
    checkout: CheckoutState, schedule: Schedule, name: str | None, until: datetime, operator: Operator, now: datetime
) -> Change:
    """Return the change that postpones the next message to a time; with a name, if that is the next one.

    Raises `NotPossible`.
    """
    step = _next(checkout, schedule, name, now)
    if until <= now:
        raise NotPossible(f"{step.name} can only be postponed to a time that is still to come.")
    if until > now + LONGEST_POSTPONED:
        raise NotPossible(f"{step.name} can be postponed by a year at most.")
    decision = decide(checkout, schedule, now)
    if isinstance(decision, Wait) and decision.until >= until:
        raise NotPossible(f"{step.name} is not due before {decision.until:%Y-%m-%d %H:%M} UTC: choose a later time.")
    said = f"postponed by {operator.name}"
    waiting = {"state": MessageState.WAITING, "reason": said, "deferred_to": until, "retry_at": None}
    message = _message(checkout, step).model_copy(update=waiting)
    return Change(f"postpone {step.name} to {until:%Y-%m-%d %H:%M:%S} UTC", {step.name: message})


def pause(checkout: CheckoutState, operator: Operator, now: datetime) -> Change:
    """Return the change that pauses the reminders until the customer is active again. Raises `NotPossible`."""
    _unordered(checkout)
    if checkout.pause is not None:
        raise NotPossible(f"It is paused already: {checkout.pause.reason}.")
    return Change("pause", fields={"paused": Pause(at=max(now, checkout.touched_at), reason=f"by {operator.name}")})


def resume(checkout: CheckoutState) -> Change:
    """Return the change that ends a pause. Raises `NotPossible`."""
    _unordered(checkout)
    if checkout.pause is None:
        raise NotPossible("It is not paused.")
    return Change("resume", fields={"paused": None, "status": Status.OPEN})


def _next(checkout: CheckoutState, schedule: Schedule, name: str | None, now: datetime) -> Step:
    if name is not None:
        _named(checkout, schedule, name)
    steps = left(checkout, schedule)
    if not steps:
        raise NotPossible(f"Nothing is left to send: {decide(checkout, schedule, now).reason}.")
    if name not in (None, steps[0].name):
        raise NotPossible(f"{name} comes after {steps[0].name}: skip that one first.")
    _not_in_flight(checkout, steps[0])
    return steps[0]


def _named(checkout: CheckoutState, schedule: Schedule, name: str) -> Step:
    steps = {step.name: step for step in left(checkout, schedule)}
    if name not in steps:
        state = checkout.messages.get(name, NOT_BEGUN).state
        raise NotPossible(f"{name} is {state} already." if state.settled else f"{name} is not to come.")
    _not_in_flight(checkout, steps[name])
    return steps[name]


def _not_in_flight(checkout: CheckoutState, step: Step) -> None:
    """Refuse while a message is being sent, and until it is known what became of it where its sender died."""
    sending = [name for name, message in checkout.messages.items() if message.state is MessageState.SENDING]
    if checkout.claim is not None or sending:
        name = sending[0] if sending else step.name
        raise NotPossible(f"{name} is being sent at this moment: look at the checkout again in a minute.")


def _unordered(checkout: CheckoutState) -> None:
    if checkout.status not in (Status.OPEN, Status.FINISHED):
        raise NotPossible(f"It is {checkout.status}: it gets no reminders anyway.")


def _message(checkout: CheckoutState, step: Step) -> Message:
    return checkout.messages.get(step.name, NOT_BEGUN)
