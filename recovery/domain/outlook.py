"""Forecast of a checkout's messages, as far as can be known now. Pure: no clock, no network."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from recovery.domain.decision import NOT_BEGUN, Rest, Send, Wait, decide, with_arms
from recovery.domain.recipient import CallOff, Other, Postpone, RecipientHistory, held_back
from recovery.domain.schedule import Schedule, Step
from recovery.domain.state import CheckoutState, Message, MessageState
from recovery.domain.suppression import Suppression


@dataclass(frozen=True, slots=True)
class Ahead:
    """Forecast of one message: the time at which it will be sent, or None for never. `why`: why not at once.

    One that `waits` for what has no known end, such as a pause, has no time either.
    """

    step: str
    at: datetime | None
    why: str | None = None
    waits: bool = False


def outlook(
    state: CheckoutState,
    schedule: Schedule,
    suppression: Suppression | None,
    now: datetime,
    others: Sequence[Other] = (),
) -> list[Ahead]:
    """Return the forecasts of the upcoming messages, in order, if nothing is reported and every mail is accepted.

    `others` are the other checkouts of the address: their mails and orders count as they are now.
    """
    return list(_ahead(_landed(state, now), schedule, RecipientHistory(suppression, others), now))


def replay(state: CheckoutState, name: str, schedule: Schedule, history: RecipientHistory, now: datetime) -> Ahead:
    """Return the forecast of a dead message if it is replayed now."""
    if state.messages.get(name, NOT_BEGUN).state is not MessageState.DEAD:
        return Ahead(name, None, "it is no longer dead, and stays as it is")
    state = _with(state, name, Message(replayed_at=now))
    decision = decide(state, schedule, now)
    for given_up in decision.given_up:
        if given_up.step == name:
            return Ahead(name, None, given_up.reason)
    match decision:
        case Rest(reason=reason):
            return Ahead(name, None, reason)
        case Wait(until=until, reason=reason):
            return Ahead(name, until, reason)
        case Send(step=step):
            return _due(state, step, schedule, history, now)


def _ahead(state: CheckoutState, schedule: Schedule, history: RecipientHistory, now: datetime) -> Iterator[Ahead]:
    while True:
        decision = decide(state, schedule, now)
        state = with_arms(state, decision.assigned)
        for given_up in decision.given_up:
            yield Ahead(given_up.step, None, given_up.reason)
            state = _with(state, given_up.step, Message(state=MessageState.SKIPPED))
        match decision:
            case Rest():
                return
            case Wait(until=until):
                now = until
            case Send(step=step):
                ahead = _due(state, step, schedule, history, now)
                if ahead.why is None and state.next_at is not None and state.next_at > now:
                    ahead = _put_off(step, state.next_at, state)
                yield ahead
                now = max(now, ahead.at or now)
                sent = Message(state=MessageState.SENT, sent_at=now)
                state = _with(state, step.name, Message(state=MessageState.SKIPPED) if ahead.at is None else sent)


def _due(state: CheckoutState, step: Step, schedule: Schedule, history: RecipientHistory, now: datetime) -> Ahead:
    why = held_back(state, step, history, schedule, now, 0)
    if why is None:
        return Ahead(step.name, now)
    return Ahead(step.name, why.until if isinstance(why, Postpone) else None, why.reason, isinstance(why, CallOff))


def _put_off(step: Step, until: datetime, state: CheckoutState) -> Ahead:
    """Return the forecast of a due message that waits for its turn."""
    return Ahead(step.name, until, state.history[-1].reason if state.history else None)


def _landed(state: CheckoutState, now: datetime) -> CheckoutState:
    """Return the checkout as it will be once the message in flight has been accepted."""
    if state.claim is None or state.claim.until <= now:
        return state
    sent = Message(state=MessageState.SENT, sent_at=now)
    messages = {name: sent if each.state is MessageState.SENDING else each for name, each in state.messages.items()}
    return state.model_copy(update={"claim": None, "next_at": None, "messages": messages})


def _with(state: CheckoutState, name: str, message: Message) -> CheckoutState:
    return state.model_copy(update={"messages": {**state.messages, name: message}})
