"""The story of a checkout: all that is known to have happened, in its order, and what would stop what is to come."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from recovery.domain.schedule import Schedule, StopOn
from recovery.domain.state import CheckoutState, MessageState, Past, Status

_WAIT = "wait until "
_KINDS = {"sent": "sent", "dead": "dead"}


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: when, what, and the reason or the reply. A wait has its end as `until`.

    `kind` is its class in the style sheet.
    """

    at: datetime
    what: str
    why: str = ""
    until: datetime | None = None
    kind: str = ""


def story(state: CheckoutState) -> list[Event]:
    """Return the events of a checkout, the oldest first.

    Of reports only the first and the latest are known; of decisions, the newest 50.
    """
    return sorted(_events(state), key=lambda event: event.at)


def _events(state: CheckoutState) -> Iterator[Event]:
    yield Event(state.opened_at, "Opened by its customer")
    if state.touched_at > state.opened_at:
        yield Event(state.touched_at, "Last reported activity in the checkout")
    if state.active_at is not None:
        yield Event(state.active_at, "Last activity in its cart")
    if (consent := state.consent) is not None:
        said = {True: "Consent given", False: "Reminders refused", None: "Consent withdrawn"}[consent.given]
        yield Event(consent.at, said, f"{consent.basis} ({consent.source})")
    if (pause := state.pause) is not None:
        yield Event(pause.at, "Paused", pause.reason)
    for step, at in state.returned.items():
        yield Event(at, f"Came back by the link of {step}", kind="sent")
    if state.ordered_at is not None:
        yield Event(state.ordered_at, "Ordered", kind="sent")
    told = {past.decision for past in state.history}
    for name, message in state.messages.items():
        if message.sent_at is not None and f"sent {name}" not in told:
            yield Event(message.sent_at, f"Sent {name}", message.reply or "", kind="sent")
    for past in state.history:
        yield _decision(past)


def _decision(past: Past) -> Event:
    if past.decision.startswith(_WAIT):
        try:
            until = datetime.strptime(past.decision.removeprefix(_WAIT), "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
        except ValueError:
            pass
        else:
            return Event(past.at, "Waits until", past.reason, until)
    kind = _KINDS.get(past.decision.partition(" ")[0], "")
    return Event(past.at, past.decision[:1].upper() + past.decision[1:], past.reason, kind=kind)


def stops(state: CheckoutState, schedule: Schedule) -> list[str]:
    """Return the causes that would stop the messages to come, a sentence each."""
    if state.status is Status.ORDERED:
        return ["A hard bounce of the address: an order is confirmed to anybody else."]
    order = "An order of this checkout"
    if schedule.stop_on is StopOn.CUSTOMER:
        order += ", or of all that is in it by the same customer"
    consent = "A customer who unsubscribes, complains or says no"
    return [
        f"{order}.",
        f"{consent}, and an address that bounces.",
        "A cancellation, here or by the shop.",
        "Later activity in it does not stop the reminders that are left, but moves them.",
    ]


def is_sending(state: CheckoutState) -> bool:
    """Return whether one of its messages is being sent."""
    return state.claim is not None or any(each.state is MessageState.SENDING for each in state.messages.values())
