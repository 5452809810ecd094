"""The decision about a checkout: to rest, to wait, or to send a message. Pure: `decide()` reads no clock."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from recovery.domain.experiments import HELD_OUT, Assignment
from recovery.domain.quiet_hours import zone
from recovery.domain.schedule import MessageKind, OnAmbiguous, Schedule, Step
from recovery.domain.state import Cause, CheckoutState, Message, MessageState, Status

MOST_AMBIGUOUS = 1
"""Ambiguous attempts (the relay may have taken the message) after which a message is still tried again."""
TOO_LATE = "too late to be of use"
"""The reason for a message that is skipped since its time is long over."""
COMPARED = "a reminder may be due then: an experiment compares two schedules"
"""The reason to look before a reminder is due by the steps in force."""
NOT_BEGUN = Message()
"""The state of a message before its first attempt."""


@dataclass(frozen=True, slots=True)
class GivenUp:
    """A message that is given up: skipped because it is no longer useful, or dead if there is a `cause`."""

    step: str
    due_at: datetime
    reason: str
    cause: Cause | None = None

    @property
    def state(self) -> MessageState:
        """The new state of the message."""
        return MessageState.SKIPPED if self.cause is None else MessageState.DEAD


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is left to do. `status` is the final status of the checkout."""

    status: Status
    reason: str
    given_up: tuple[GivenUp, ...] = ()
    assigned: Assignment | None = None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before `until`; then look again. `once`: of waits in a row, the history has the first alone."""

    until: datetime
    reason: str
    given_up: tuple[GivenUp, ...] = ()
    once: bool = False
    assigned: Assignment | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """The message of `step` was due at `due_at` and is to be sent now. `assigned`: the arms that it has from now on."""

    step: Step
    due_at: datetime
    reason: str
    given_up: tuple[GivenUp, ...] = ()
    assigned: Assignment | None = None


Decision = Rest | Wait | Send


def decide(checkout: CheckoutState, schedule: Schedule, now: datetime) -> Decision:
    """Return the decision about a checkout: to rest, to wait until a time, or to send a message now.

    A reminder is never sent before it is due, in quiet hours, after an order or a cancellation, or twice. While a
    message is left to send, the decision is to send it or to look again at a later time.
    """
    if checkout.claim is not None and checkout.claim.until > now:
        return Wait(checkout.claim.until, "a message is being sent")
    if schedule.experiments.all and (rivals := schedule.experiments.rivals(checkout, now)):
        return _assigning(checkout, schedule, rivals, now)
    return _decided(checkout, schedule, now)


def _assigning(
    checkout: CheckoutState, schedule: Schedule, rivals: Sequence[tuple[Step, ...]], now: datetime
) -> Decision:
    """Return the decision about a checkout whose steps an experiment has yet to decide.

    It decides at the first moment at which any of the schedules has a reminder to send, whatever the arm will be: so
    all arms begin alike.
    """
    in_force, *others = (_decided(checkout, schedule.alone(steps), now) for steps in (schedule.steps, *rivals))
    if any(isinstance(each, Send) and each.step.kind.is_marketing for each in (in_force, *others)):
        assigned = schedule.experiments.assigned(checkout, now)
        return replace(_decided(with_arms(checkout, assigned), schedule, now), assigned=assigned)
    earlier = min((each.until for each in others if isinstance(each, Wait)), default=None)
    if earlier is None or in_force.given_up or (isinstance(in_force, Wait) and in_force.until <= earlier):
        return in_force
    return Wait(earlier, COMPARED)


def _decided(checkout: CheckoutState, schedule: Schedule, now: datetime) -> Decision:
    """Return the decision about a checkout that is not being sent, by the steps that its arms have."""
    given_up: list[GivenUp] = []
    assigned: Assignment | None = None
    for step, scheduled_at in _wanted(checkout, schedule):
        message = checkout.messages.get(step.name, NOT_BEGUN)
        if message.state.settled:
            continue
        due_at = message.replayed_at or scheduled_at
        if lost := _lost(message, schedule):
            given_up.append(GivenUp(step.name, due_at, *lost))
            continue
        due_at, send_at, reason = _when(checkout, schedule, step, message, due_at)
        if send_at > now:
            return Wait(send_at, reason, tuple(given_up), assigned=assigned)
        if quiet_until := _quiet_until(checkout, schedule, step, now):
            reason = f"{step.name} is late, and may be sent when the quiet hours are over"
            return Wait(quiet_until, reason, tuple(given_up), assigned=assigned)
        if useless := _useless(checkout, schedule, step, due_at, now):
            given_up.append(GivenUp(step.name, due_at, useless))
            continue
        if schedule.experiments.all and step.kind.is_marketing:
            assigned = schedule.experiments.assigned(checkout, now)
            arms = with_arms(checkout, assigned).experiments
            if schedule.experiments.hold_out(arms):
                given_up.append(GivenUp(step.name, due_at, HELD_OUT))
                continue
            step = schedule.experiments.variant(step, arms)
        return Send(step, due_at, f"{step.name} is due", tuple(given_up), assigned)
    rest = _rest(checkout, schedule, tuple(given_up))
    return rest if assigned is None else replace(rest, assigned=assigned)


def with_arms(checkout: CheckoutState, assigned: Assignment | None) -> CheckoutState:
    """Return the checkout with the arms that it is assigned to by a decision."""
    if assigned is None:
        return checkout
    return checkout.model_copy(update={"experiments": {**checkout.experiments, **dict(assigned.arms)}})


def left(checkout: CheckoutState, schedule: Schedule) -> list[Step]:
    """Return the messages that this checkout may still get, in the order in which they are decided on."""
    return [
        step for step, _ in _wanted(checkout, schedule) if not checkout.messages.get(step.name, NOT_BEGUN).state.settled
    ]


def _wanted(checkout: CheckoutState, schedule: Schedule) -> Iterator[tuple[Step, datetime]]:
    """Yield the messages that this checkout may get, each with its due time, earliest first."""
    if checkout.status is Status.CANCELLED:
        return
    if checkout.status is Status.ORDERED:
        if schedule.confirmation is not None and checkout.confirm and checkout.facts.customer is not None:
            yield schedule.confirmation, (checkout.ordered_at or checkout.touched_at) + schedule.confirmation.delay
        return
    if checkout.pause is not None:
        return
    for step in schedule.steps_of(checkout.experiments):
        yield step, checkout.left_at + step.delay


def _lost(message: Message, schedule: Schedule) -> tuple[str, Cause] | None:
    """Return the reason and cause for giving up a message after earlier attempts, or None to try again."""
    if message.may_be_taken and schedule.on_ambiguous is OnAmbiguous.SKIP:
        return "its sender died, and the relay may have taken it", Cause.LOST
    if message.ambiguous + message.may_be_taken > MOST_AMBIGUOUS:
        return "twice it was not known whether the relay had taken it", Cause.LOST
    if message.attempts >= schedule.max_attempts:
        return f"all {message.attempts} attempts are used up", Cause.ATTEMPTS
    return None


def _when(
    checkout: CheckoutState, schedule: Schedule, step: Step, message: Message, due_at: datetime
) -> tuple[datetime, datetime, str]:
    """Return the due time of a message, the earliest time to send it, and the reason for that time.

    Quiet hours and the gap between mails move the due time itself: a message that waits for them is not late.
    """
    reason = f"{step.name} is due then"
    written_at = _written_at(checkout) if step.kind.counts_for_gap else None
    moved_to = [due_at]
    if message.deferred_to is not None:
        moved_to.append(message.deferred_to)
    if written_at is not None and schedule.min_gap_per_address:
        moved_to.append(written_at + schedule.min_gap_per_address)
    due_at = max(moved_to)
    send_at = max(due_at, message.retry_at or due_at)
    if written_at is not None:
        send_at = max(send_at, written_at + schedule.min_gap)
    if schedule.quiet_hours is not None and step.kind.respects_quiet_hours:
        where = zone(checkout.facts.time_zone or schedule.time_zone)
        due_at = schedule.quiet_hours.end_after(due_at, where) or due_at
        if end := schedule.quiet_hours.end_after(send_at, where):
            send_at, reason = end, f"{step.name} may be sent then: the quiet hours in {where.key} are over"
    return due_at, max(due_at, send_at), reason


def _quiet_until(checkout: CheckoutState, schedule: Schedule, step: Step, now: datetime) -> datetime | None:
    """Return the end of the quiet hours if it is within them now: a late message is not sent in them either."""
    if schedule.quiet_hours is None or not step.kind.respects_quiet_hours:
        return None
    return schedule.quiet_hours.end_after(now, zone(checkout.facts.time_zone or schedule.time_zone))


def _written_at(checkout: CheckoutState) -> datetime | None:
    """Return the time at which the last reminder of this checkout was sent."""
    if not checkout.messages:
        return None
    sent = [
        message.sent_at
        for name, message in checkout.messages.items()
        if message.sent_at is not None and MessageKind.of(name).counts_for_gap
    ]
    return max(sent) if sent else None


def _useless(checkout: CheckoutState, schedule: Schedule, step: Step, due_at: datetime, now: datetime) -> str | None:
    """Return the reason to skip a due message, or None."""
    late = now - due_at
    if late > step.max_lateness and schedule.quiet_hours is not None and step.kind.respects_quiet_hours:
        where = zone(checkout.facts.time_zone or schedule.time_zone)
        late = schedule.quiet_hours.awake(due_at, now, where, step.max_lateness)
    if late > step.max_lateness:
        return TOO_LATE
    if not step.kind.is_marketing:
        return None
    given = None if checkout.consent is None else checkout.consent.given
    if given is False:
        return "the customer has said no"
    if schedule.require_consent and given is None:
        return "no consent is known"
    return None


def _rest(checkout: CheckoutState, schedule: Schedule, given_up: tuple[GivenUp, ...]) -> Rest:
    match checkout.status:
        case Status.CANCELLED:
            return Rest(Status.CANCELLED, "cancelled: no reminders", given_up)
        case Status.ORDERED if schedule.confirmation is None:
            return Rest(Status.ORDERED, "ordered: no reminders, and confirmations are turned off", given_up)
        case Status.ORDERED if not checkout.confirm:
            return Rest(Status.ORDERED, "ordered: no reminders, and this order is not to be confirmed", given_up)
        case Status.ORDERED if checkout.facts.customer is None:
            return Rest(Status.ORDERED, "ordered: no reminders, and no address to confirm to is known", given_up)
        case Status.ORDERED:
            return Rest(Status.ORDERED, "ordered: no reminders", given_up)
        case _ if checkout.pause is not None:
            return Rest(Status.FINISHED, f"paused: {checkout.pause.reason}", given_up)
        case _:
            return Rest(Status.FINISHED, "every step is done", given_up)
