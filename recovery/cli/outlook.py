"""What is going to be sent of a checkout, as far as can be known now. Nothing here reads a clock or a network."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from recovery.domain.decision import NOT_BEGUN, Rest, Send, Wait, decide
from recovery.domain.recipient import Postpone, Standing, held_back
from recovery.domain.schedule import Schedule, Step
from recovery.domain.state import CheckoutState, Message, MessageState
from recovery.domain.suppression import Suppression


@dataclass(frozen=True, slots=True)
class Ahead:
    """A message that is still to come: when it will be sent; without a time, never. `why` says why not at once."""

    step: str
    at: datetime | None
    why: str | None = None


def outlook(state: CheckoutState, schedule: Schedule, suppression: Suppression | None, now: datetime) -> list[Ahead]:
    """Return the messages that are still to come, in their order, if nothing is reported and every mail is taken."""
    return list(_ahead(_landed(state, now), schedule, suppression, now))


def replay(state: CheckoutState, name: str, schedule: Schedule, standing: Standing, now: datetime) -> Ahead:
    """Return what comes of a dead message if somebody has it tried once more now."""
    if state.messages.get(name, NOT_BEGUN).state is not MessageState.DEAD:
        return Ahead(name, None, "it is not dead any more, and stays as it is")
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
            return _due(state, step, schedule, standing, now)


def _ahead(state: CheckoutState, schedule: Schedule, suppression: Suppression | None, now: datetime) -> Iterator[Ahead]:
    while True:
        decision = decide(state, schedule, now)
        for given_up in decision.given_up:
            yield Ahead(given_up.step, None, given_up.reason)
            state = _with(state, given_up.step, Message(state=MessageState.SKIPPED))
        match decision:
            case Rest():
                return
            case Wait(until=until):
                now = until
            case Send(step=step):
                ahead = _due(state, step, schedule, Standing(suppression), now)
                yield ahead
                sent = Message(state=MessageState.SENT, sent_at=now)
                state = _with(state, step.name, Message(state=MessageState.SKIPPED) if ahead.at is None else sent)


def _due(state: CheckoutState, step: Step, schedule: Schedule, standing: Standing, now: datetime) -> Ahead:
    why = held_back(state, step, standing, schedule, now, 0)
    if why is None:
        return Ahead(step.name, now)
    return Ahead(step.name, why.until if isinstance(why, Postpone) else None, why.reason)


def _landed(state: CheckoutState, now: datetime) -> CheckoutState:
    """Return a checkout as it is once the message that is being sent has been taken."""
    if state.claim is None or state.claim.until <= now:
        return state
    sent = Message(state=MessageState.SENT, sent_at=now)
    messages = {name: sent if each.state is MessageState.SENDING else each for name, each in state.messages.items()}
    return state.model_copy(update={"claim": None, "messages": messages})


def _with(state: CheckoutState, name: str, message: Message) -> CheckoutState:
    return state.model_copy(update={"messages": {**state.messages, name: message}})
