"""The sections that say who is written to when, and the schedule that they make."""

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
    broken,
    from_json,
    like,
    setting,
)


class StepSettings(Section):
    """One step of the schedule."""

    name: Annotated[
        str,
        like(r"[a-z][a-z0-9_-]{0,39}", "must be a lower-case letter, then up to 39 lower-case letters, digits, _ or -"),
    ] = Field(
        description="What the step is called in the database, in logs and in metrics: lower case, up to 40 characters."
        " A step that gets another name is another step: whoever had the old one may get the new one too."
    )
    delay: PositiveDuration = Field(description="How long after the last touch of the checkout the reminder is due.")
    template: Maybe[TemplateName] = setting(
        None, "The name of its mail template, without its ending. Empty: the name of the step."
    )
    subject: Maybe[Line] = setting(
        None,
        "The subject of its mail in every language, in Jinja; it sees what the template sees, such as customer, items,"
        " total. Empty: that of the template's words, in the customer's language.",
    )
    max_lateness: Maybe[Duration] = setting(
        None,
        "How late it may be sent and still be worth reading; later than that it is skipped. Empty: half of the time to"
        " the next step, at most 12 hours.",
    )
    coupon: Maybe[Line] = setting(
        None, "A coupon code that its mail gives, one for everybody; the shop must know it. Empty: none."
    )


def _in_order(steps: tuple[StepSettings, ...]) -> tuple[StepSettings, ...]:
    ordered = tuple(sorted(steps, key=lambda step: step.delay))
    for earlier, later in pairwise(ordered):
        if earlier.delay == later.delay:
            delay = format_duration(later.delay)
            raise ValueError(f"{earlier.name} and {later.name} must not have the same delay, {delay}")
    names = [step.name for step in steps]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"no two steps may have the same name, {name}")
    if CONFIRMATION in names:
        raise ValueError(f"no step may be called {CONFIRMATION}: that is the mail that confirms an order")
    return ordered


def _steps(steps: Sequence[StepSettings]) -> tuple[Step, ...]:
    """Return the steps in order, with all that was left out filled in."""
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


class ScheduleSettings(Section):
    """When people are reminded, and how hard it is tried. A change applies to open checkouts at their next look."""

    steps: Annotated[tuple[StepSettings, ...], BeforeValidator(from_json), AfterValidator(_in_order)] = setting(
        (
            {"name": "reminder-1", "delay": "30m"},
            {"name": "reminder-2", "delay": "1d"},
            {"name": "reminder-3", "delay": "3d"},
        ),
        "The reminders, in the order of their delays however they are written. Whoever names one step names them all:"
        " the list is replaced as a whole. In the environment it is JSON. None, []: orders are confirmed, and nobody is"
        " reminded. Three, since the first finds people at their desk, the second reminds, and a fourth would annoy.",
    )
    min_gap: Duration = setting(
        "6h",
        "The least time between two reminders of one checkout, whatever their delays: after an outage, what has piled"
        " up must not arrive at once.",
    )
    min_gap_per_address: Duration = setting(
        "12h",
        "The least time between two reminders to one address, over all its checkouts at a shop. What comes sooner is"
        " moved to its end, and not late by that. 0s: no such gap.",
    )
    quiet_hours: Maybe[Hours] = setting(
        None,
        "When nobody is reminded, by the clock on the customer's wall: 21:00-08:00. What falls into it is moved to its"
        " end, and not late by that. Empty: none.",
    )
    time_zone: ZoneName = setting(
        "UTC", "Whose clock that is where the report of a checkout names no time_zone: Europe/Berlin, America/New_York."
    )
    require_consent: bool = setting(
        False,
        "Whether a reminder takes consent, reported with the checkout. Whether the law asks for it depends on the"
        " customer's country and on what the shop is to them.",
    )
    stop_on: StopOn = setting(
        "checkout",
        "Which order ends the reminders of a checkout: its own (checkout), or also one of the same customer under"
        " another (customer), as far as it has the same items: those that were not bought are still written about.",
    )
    on_ambiguous: OnAmbiguous = setting(
        "resend",
        "What to do when the relay may have taken a message, but its answer was lost: resend (the same Message-ID; a"
        " few people get it twice) or skip (a few never get it). A reminder more does less harm than none.",
    )
    max_attempts: int = setting(
        5,
        "How many times a message is tried before it is a dead letter. Five, doubling from retry_after, span more than"
        " an hour: longer than greylisting lasts.",
        ge=1,
        le=100,
    )
    retry_after: PositiveDuration = setting(
        "5m",
        "How long to wait after the first refusal; doubled after each. Greylisting refuses whoever is back sooner.",
    )
    lease: PositiveDuration = setting(
        "60s",
        "How long a message that is being sent belongs to its sender; then another may take it, since the sender is"
        " taken for dead. At least twice smtp.timeout, or a slow relay makes doubles.",
    )
    retention: PositiveDuration = setting(
        "30d",
        "How long a checkout is kept once nothing is left to do about it; then it goes, with its personal data. Long"
        " enough to answer a customer who asks, and longer than any step takes.",
    )

    @model_validator(mode="after")
    def _steps_can_be_sent(self) -> Self:
        steps = _steps(self.steps)
        for earlier, later in pairwise(steps):
            if earlier.delay + self.min_gap > later.delay + later.max_lateness:
                raise broken(
                    f"must be shorter: {later.name}, due {format_duration(later.delay - earlier.delay)} after"
                    f" {earlier.name}, would have to wait for longer than it may be late, and never be sent",
                    "min_gap",
                )
        longest = max((step.delay + step.max_lateness for step in steps), default=timedelta())
        if self.retention <= longest:
            raise broken(
                f"must be longer than the {format_duration(longest)} that the last step may take, or a checkout would"
                " be gone before it is written about",
                "retention",
            )
        return self


class ConfirmationSettings(Section):
    """The mail that confirms an order."""

    enabled: bool = setting(True, "Whether orders are confirmed. Turn it off if the shop's platform does it already.")
    template: TemplateName = setting("confirmation", "The name of its mail template, without its ending.")
    subject: Maybe[Line] = setting(
        None,
        "Its subject in every language, in Jinja; not every order comes with items. Empty: that of the template's"
        " words, in the customer's language.",
    )
    max_lateness: PositiveDuration = setting(
        "1d", "How late it may be sent. After a day, people have asked the shop and been answered."
    )


def schedule_of(schedule: ScheduleSettings, confirmation: ConfirmationSettings) -> Schedule:
    """Return the schedule that these two sections make."""
    return Schedule(
        steps=_steps(schedule.steps),
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
