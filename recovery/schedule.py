"""The schedule of reminders, and `decide()`: what ought to happen to a checkout now.

Nothing here reads a clock, a file or a network: a decision is a function of the checkout, the schedule and the time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.checkout import Cause, CheckoutState, Message, MessageState, Status

CONFIRMATION = "confirmation"
"""The name of the message that confirms an order. No step may take it."""

LONGEST_USEFULNESS = timedelta(hours=12)
NOT_BEGUN = Message()
"""How a message stands of which nothing is known yet."""


class OnAmbiguous(StrEnum):
    """What to do when a message may have reached the relay: its sender died, or the line went dead after the last dot.

    `resend` may write twice (with the same Message-ID); `skip` may never write at all.
    """

    RESEND = "resend"
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Step:
    """One message of the schedule: when it is due, counted from the last touch, and which mail it is.

    `subject` is None where it is that of the template's words. `max_lateness` is how late it may be sent and still be
    worth reading; later than that it is skipped. `coupon` is a code that the mail gives, if it gives one.
    """

    name: str
    delay: timedelta
    template: str
    subject: str | None
    max_lateness: timedelta
    coupon: str | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """All that decides when a checkout is written to.

    `steps` are in the order of their delays. `confirmation` is None where the shop confirms orders itself.
    `min_gap` is the least time between two reminders of one checkout. `lease` bounds how long one send may take.
    A message is tried `max_attempts` times at the most. `retention` is how long a checkout at rest is kept.
    """

    steps: tuple[Step, ...]
    confirmation: Step | None
    min_gap: timedelta = timedelta(hours=6)
    on_ambiguous: OnAmbiguous = OnAmbiguous.RESEND
    max_attempts: int = 5
    retry_after: timedelta = timedelta(minutes=5)
    lease: timedelta = timedelta(minutes=1)
    retention: timedelta = timedelta(days=30)


def default_max_lateness(delay: timedelta, next_delay: timedelta | None) -> timedelta:
    """Return how late a step may be where the shop did not say: half of the time to the next, at most 12 hours."""
    return LONGEST_USEFULNESS if next_delay is None else min((next_delay - delay) / 2, LONGEST_USEFULNESS)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A message that will not be sent: skipped because it is of no use any more, or dead where there is a `cause`."""

    step: str
    due_at: datetime
    reason: str
    cause: Cause | None = None

    @property
    def state(self) -> MessageState:
        """What the message becomes."""
        return MessageState.SKIPPED if self.cause is None else MessageState.DEAD


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is left to do. `status` is what the checkout then is."""

    status: Status
    reason: str
    given_up: tuple[GivenUp, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`; then look again."""

    until: datetime
    reason: str
    given_up: tuple[GivenUp, ...] = ()


@dataclass(frozen=True, slots=True)
class Send:
    """The message of `step` was due at `due_at` and ought to be sent now."""

    step: Step
    due_at: datetime
    reason: str
    given_up: tuple[GivenUp, ...] = ()


Decision = Rest | Wait | Send


def decide(checkout: CheckoutState, schedule: Schedule, now: datetime) -> Decision:
    """Return what ought to happen to this checkout now.

    A reminder is never sent before it is due, after an order or a cancellation, or twice; while anything is left to
    do, the answer is to send it or to look again at a later time.
    """
    if checkout.claim is not None and checkout.claim.until > now:
        return Wait(checkout.claim.until, "a message is being sent")
    given_up: list[GivenUp] = []
    for step, scheduled_at in _wanted(checkout, schedule):
        message = checkout.messages.get(step.name, NOT_BEGUN)
        if message.state.settled:
            continue
        due_at = message.replayed_at or scheduled_at
        if lost := _lost(message, schedule):
            given_up.append(GivenUp(step.name, due_at, *lost))
            continue
        send_at = max(due_at, message.retry_at or due_at, _gap_ends(checkout, schedule, step) or due_at)
        if send_at > now:
            return Wait(send_at, f"{step.name} is due then", tuple(given_up))
        if now - due_at > step.max_lateness:
            given_up.append(GivenUp(step.name, due_at, "too late to be of use"))
            continue
        return Send(step, due_at, f"{step.name} is due", tuple(given_up))
    return _rest(checkout, schedule, tuple(given_up))


def _wanted(checkout: CheckoutState, schedule: Schedule) -> Iterator[tuple[Step, datetime]]:
    """Yield the messages that this checkout may get, each with the time it is due at, in that order."""
    if checkout.status is Status.CANCELLED:
        return
    if checkout.status is Status.ORDERED:
        if schedule.confirmation is not None and checkout.facts.customer is not None:
            yield schedule.confirmation, (checkout.ordered_at or checkout.touched_at) + schedule.confirmation.delay
        return
    for step in schedule.steps:
        yield step, checkout.touched_at + step.delay


def _lost(message: Message, schedule: Schedule) -> tuple[str, Cause] | None:
    """Return why a message that was begun must not be begun again, if it must not."""
    if message.state is MessageState.SENDING and schedule.on_ambiguous is OnAmbiguous.SKIP:
        return "its sender died, and the relay may have taken it", Cause.LOST
    if message.attempts >= schedule.max_attempts:
        return f"all {message.attempts} attempts are used up", Cause.ATTEMPTS
    return None


def _gap_ends(checkout: CheckoutState, schedule: Schedule, step: Step) -> datetime | None:
    """Return when the least gap after the last reminder ends. A confirmation waits for nothing."""
    if step is schedule.confirmation or not checkout.messages:
        return None
    sent = [m.sent_at for name, m in checkout.messages.items() if m.sent_at is not None and name != CONFIRMATION]
    return max(sent) + schedule.min_gap if sent else None


def _rest(checkout: CheckoutState, schedule: Schedule, given_up: tuple[GivenUp, ...]) -> Rest:
    match checkout.status:
        case Status.CANCELLED:
            return Rest(Status.CANCELLED, "cancelled: no reminders", given_up)
        case Status.ORDERED if schedule.confirmation is None:
            return Rest(Status.ORDERED, "ordered: no reminders, and confirmations are turned off", given_up)
        case Status.ORDERED if checkout.facts.customer is None:
            return Rest(Status.ORDERED, "ordered: no reminders, and no address to confirm to is known", given_up)
        case Status.ORDERED:
            return Rest(Status.ORDERED, "ordered: no reminders", given_up)
        case _:
            return Rest(Status.FINISHED, "every step is done", given_up)
