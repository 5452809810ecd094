"""The sections on reminders and the confirmation, and the schedule built from them."""

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from recovery.domain.schedule import CONFIRMATION, OnAmbiguous, Schedule, Step, StopOn, default_max_lateness
from recovery.settings.durations import Duration, PositiveDuration, format_duration
from recovery.settings.fields import (
    Hours,
    Line,
    Maybe,
    Section,
    TemplateName,
    ZoneName,
    from_json,
    like,
    rule_violation,
    setting,
)


class StepSettings(Section):
    """One step of the schedule."""

    name: Annotated[
        str,
        like(r"[a-z][a-z0-9_-]{0,39}", "must be a lower-case letter and up to 39 lower-case letters, digits, _ or -"),
    ] = Field(
        description="The name of the step in the database, in logs and in metrics: lower case, up to 40 characters."
        " Renaming a step makes it a new step: customers who got the old one may get it again."
    )
    delay: PositiveDuration = Field(
        description="The time from the last change of the checkout to the moment the reminder is due."
    )
    template: Maybe[TemplateName] = setting(
        None, "The name of the mail template, without extension. Empty: the name of the step."
    )
    subject: Maybe[Line] = setting(
        None,
        "The subject of the mail, in Jinja, for all languages. It has the variables of the template, such as customer,"
        " items and total. Empty: the template's own subject, in the customer's language.",
    )
    max_lateness: Maybe[Duration] = setting(
        None,
        "How late the reminder may be sent; after that it is skipped. Empty: half of the time to the next step, at most"
        " 12 hours.",
    )
    coupon: Maybe[Line] = setting(
        None, "A coupon code for the mail, the same for all customers; the shop must accept it. Empty: none."
    )


def in_order(steps: tuple[StepSettings, ...]) -> tuple[StepSettings, ...]:
    """Return steps in the order of their delays. Raises `ValueError` if two are not to be told apart."""
    ordered = tuple(sorted(steps, key=lambda step: step.delay))
    for earlier, later in pairwise(ordered):
        if earlier.delay == later.delay:
            delay = format_duration(later.delay)
            raise ValueError(f"must not have two steps with the same delay: {earlier.name} and {later.name}, {delay}")
    names = [step.name for step in steps]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"must not have two steps with the same name: {name}")
    if CONFIRMATION in names:
        raise ValueError(f"must not have a step named {CONFIRMATION}: that is the mail that confirms an order")
    return ordered


def steps_of(steps: Sequence[StepSettings]) -> tuple[Step, ...]:
    """Return the steps of the schedule, with defaults filled in."""
    next_delays = [*(step.delay for step in steps[1:]), None]
    return tuple(
        Step(
            name=step.name,
            delay=step.delay,
            template=step.template or step.name,
            subject=step.subject,
            max_lateness=default_max_lateness(step.delay, next_delay)
            if step.max_lateness is None
            else step.max_lateness,
            coupon=step.coupon,
        )
        for step, next_delay in zip(steps, next_delays, strict=False)
    )


def too_close(steps: Sequence[Step], min_gap: timedelta) -> tuple[Step, Step] | None:
    """Return the first two steps of which the second could never be sent, as it has to keep the gap; or None."""
    for earlier, later in pairwise(steps):
        if earlier.delay + min_gap > later.delay + later.max_lateness:
            return earlier, later
    return None


def longest(steps: Sequence[Step]) -> timedelta:
    """Return the time after which no step is sent any more."""
    return max((step.delay + step.max_lateness for step in steps), default=timedelta())


class ScheduleSettings(Section):
    """When reminders are sent, and how failures are retried. Changes apply to open checkouts at their next look."""

    steps: Annotated[tuple[StepSettings, ...], BeforeValidator(from_json), AfterValidator(in_order)] = setting(
        (
            {"name": "reminder-1", "delay": "30m"},
            {"name": "reminder-2", "delay": "1d"},
            {"name": "reminder-3", "delay": "3d"},
        ),
        "The reminders, sorted by delay. The list is replaced as a whole: to change one step, list them all. In the"
        " environment: JSON. An empty list, []: orders are confirmed, but no reminders are sent. Three by default: the"
        " first finds people still at their desk, the second reminds them, a fourth would annoy.",
    )
    min_gap: Duration = setting(
        "6h",
        "The minimum time between two reminders of one checkout, so that after an outage the overdue ones do not all"
        " arrive at once.",
    )
    min_gap_per_address: Duration = setting(
        "12h",
        "The minimum time between two reminders to one address, over all its checkouts at a shop. A reminder due sooner"
        " is postponed to the end of the gap; that does not count as lateness. 0s: no gap.",
    )
    quiet_hours: Maybe[Hours] = setting(
        None,
        "Hours without reminders, in the customer's local time, such as 21:00-08:00. A reminder due within them is"
        " postponed to their end; that does not count as lateness. Empty: none.",
    )
    time_zone: ZoneName = setting(
        "UTC",
        "The time zone of the quiet hours for checkouts that report none, such as Europe/Berlin or America/New_York.",
    )
    require_consent: bool = setting(
        False,
        "Whether a reminder requires consent, which is reported with the checkout. Whether the law requires it depends"
        " on the customer's country and on their relationship with the shop.",
    )
    stop_on: StopOn = setting(
        "checkout",
        "Which order stops the reminders of a checkout: its own (checkout), or also another order of the same customer"
        " (customer), as far as it has the same items: reminders go on for items that were not bought.",
    )
    on_ambiguous: OnAmbiguous = setting(
        "resend",
        "What to do if the relay's answer was lost, so that the message may have been sent: resend (at-least-once, with"
        " the same Message-ID; a few people get it twice) or skip (at-most-once; a few never get it). A second copy"
        " does less harm than none.",
    )
    max_attempts: int = setting(
        5,
        "The number of attempts before a message becomes a dead letter. Five attempts, with an exponential backoff from"
        " retry_after, take more than an hour: longer than greylisting.",
        ge=1,
        le=100,
    )
    retry_after: PositiveDuration = setting(
        "5m",
        "The backoff after the first temporary refusal; it doubles with each attempt. Greylisting refuses earlier"
        " retries.",
    )
    lease: PositiveDuration = setting(
        "60s",
        "The lease of a message: how long only the daemon that claimed it may send it. After that the daemon is"
        " presumed dead and another takes over. At least twice smtp.timeout, or a slow relay causes duplicates.",
    )
    retention: PositiveDuration = setting(
        "30d",
        "How long a checkout is kept after its last message is done; then it is deleted, with its personal data. Long"
        " enough to answer questions of customers; it must be longer than any step takes.",
    )

    @model_validator(mode="after")
    def _steps_can_be_sent(self) -> Self:
        steps = steps_of(self.steps)
        if pair := too_close(steps, self.min_gap):
            earlier, later = pair
            raise rule_violation(
                f"must be shorter: {later.name} is due {format_duration(later.delay - earlier.delay)} after"
                f" {earlier.name}; it would wait beyond its max_lateness and never be sent",
                "min_gap",
            )
        if self.retention <= longest(steps):
            raise rule_violation(
                f"must be longer than the {format_duration(longest(steps))} that the last step may take, or checkouts"
                " would be deleted before their last reminder",
                "retention",
            )
        return self


class ConfirmationSettings(Section):
    """The mail that confirms an order."""

    enabled: bool = setting(True, "Whether orders are confirmed. Turn this off if the shop's platform confirms them.")
    template: TemplateName = setting("confirmation", "The name of the mail template, without extension.")
    subject: Maybe[Line] = setting(
        None,
        "The subject of the mail, in Jinja, for all languages; not every order has items. Empty: the template's own"
        " subject, in the customer's language.",
    )
    max_lateness: PositiveDuration = setting(
        "1d", "How late it may be sent. After a day, customers have asked the shop and got an answer."
    )


def schedule_of(schedule: ScheduleSettings, confirmation: ConfirmationSettings) -> Schedule:
    """Build the schedule from its two sections."""
    return Schedule(
        steps=steps_of(schedule.steps),
        confirmation=Step(
            name=CONFIRMATION,
            delay=timedelta(),
            template=confirmation.template,
            subject=confirmation.subject,
            max_lateness=confirmation.max_lateness,
        )
        if confirmation.enabled
        else None,
        min_gap=schedule.min_gap,
        min_gap_per_address=schedule.min_gap_per_address,
        quiet_hours=schedule.quiet_hours,
        time_zone=schedule.time_zone,
        require_consent=schedule.require_consent,
        stop_on=schedule.stop_on,
        on_ambiguous=schedule.on_ambiguous,
        max_attempts=schedule.max_attempts,
        retry_after=schedule.retry_after,
        lease=schedule.lease,
        retention=schedule.retention,
    )
