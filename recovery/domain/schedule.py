"""The schedule of a shop: its messages, their due times, and the rules that hold them back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from recovery.domain.experiments import NO_EXPERIMENTS, Experiments
from recovery.domain.quiet_hours import QuietHours

CONFIRMATION = "confirmation"
"""The name of the message that confirms an order. No step may take it."""

LONGEST_USEFULNESS = timedelta(hours=12)


class MessageKind(StrEnum):
    """The kind of a message, and the rules that follow from it."""

    REMINDER = "reminder"
    CONFIRMATION = "confirmation"

    @classmethod
    def of(cls, name: str) -> "MessageKind":
        """Return the kind of a message by its name, which is all that is kept of its step."""
        return cls.CONFIRMATION if name == CONFIRMATION else cls.REMINDER

    @property
    def is_marketing(self) -> bool:
        """Whether it needs consent, offers to unsubscribe, and is stopped by every suppression.

        One that is not marketing is stopped only by an address that takes no mail at all.
        """
        return self is MessageKind.REMINDER

    @property
    def respects_quiet_hours(self) -> bool:
        """Whether it waits for the end of the quiet hours."""
        return self is MessageKind.REMINDER

    @property
    def counts_for_gap(self) -> bool:
        """Whether it keeps its distance from other messages to the address, and they from it."""
        return self is MessageKind.REMINDER

    @property
    def waits_for_warmup(self) -> bool:
        """Whether it waits where a new sending address may not send more today. What does not wait counts as well."""
        return self is MessageKind.REMINDER

    @property
    def stops_on_order(self) -> bool:
        """Whether an order of the checkout calls it off."""
        return self is MessageKind.REMINDER


class OnAmbiguous(StrEnum):
    """The choice for a message that may have reached the relay: at-least-once (`resend`) or at-most-once (`skip`).

    It arises when a sender dies, or a connection is lost after the final dot. `resend` may write twice (with the same
    Message-ID); `skip` may never write at all.
    """

    RESEND = "resend"
    SKIP = "skip"


class StopOn(StrEnum):
    """The orders that end the reminders of a checkout: only its own, or any of the same customer."""

    CHECKOUT = "checkout"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Step:
    """One message of the schedule: its delay from the last activity, and its template.

    `subject` is None to use that of the template's words. A message later than `max_lateness` is no longer worth
    reading and is skipped. `coupon` is the code that the mail contains, if any.
    """

    name: str
    delay: timedelta
    template: str
    subject: str | None
    max_lateness: timedelta
    coupon: str | None = None
    kind: MessageKind = field(init=False, repr=False, compare=False)
    """The kind of the message."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", MessageKind.of(self.name))


@dataclass(frozen=True, slots=True)
class Schedule:
    """The steps of a shop, and all rules about when a message is sent. The settings have the defaults.

    `steps` are in the order of their delays. `confirmation` is None if the shop confirms orders itself. `min_gap` is
    the shortest time between two reminders of one checkout, `min_gap_per_address` between any two to one address; the
    later one is postponed. No reminder is sent in `quiet_hours` of the customer's time zone, or of `time_zone` if that
    is unknown; nor without consent if `require_consent` is set. A claim is a lease of `lease`, the time that one send
    may take before another sender may begin. A message is tried at most `max_attempts` times. A checkout at rest is
    kept for `retention`. `experiments` say who gets no reminders, other templates or other steps.
    """

    steps: tuple[Step, ...]
    confirmation: Step | None
    min_gap: timedelta
    min_gap_per_address: timedelta
    quiet_hours: QuietHours | None
    time_zone: str
    require_consent: bool
    stop_on: StopOn
    on_ambiguous: OnAmbiguous
    max_attempts: int
    retry_after: timedelta
    lease: timedelta
    retention: timedelta
    experiments: Experiments = NO_EXPERIMENTS

    @property
    def messages(self) -> tuple[Step, ...]:
        """The steps, and the confirmation if there is one."""
        return self.steps if self.confirmation is None else (*self.steps, self.confirmation)

    @property
    def mails(self) -> tuple[Step, ...]:
        """The messages, and those that experiments have beside them."""
        return (*self.messages, *self.experiments.variants(self.steps))

    @property
    def by_name(self) -> dict[str, Step]:
        """Every message by its name: that in force or, of a step that only an experiment has, its own."""
        found: dict[str, Step] = {}
        for step in self.mails:
            found.setdefault(step.name, step)
        return found

    def steps_of(self, arms: Mapping[str, str]) -> tuple[Step, ...]:
        """Return the steps that hold for a checkout with these arms: those in force, unless an arm has others.

        The arms of an experiment that is not, or no longer, in the settings have none.
        """
        return (self.experiments.steps(arms) if arms else None) or self.steps

    def messages_of(self, arms: Mapping[str, str]) -> tuple[Step, ...]:
        """Return the messages for a checkout with these arms, with its templates; the confirmation if there is one."""
        steps = tuple(self.experiments.variant(step, arms) for step in self.steps_of(arms))
        return steps if self.confirmation is None else (*steps, self.confirmation)

    def alone(self, steps: tuple[Step, ...]) -> "Schedule":
        """Return the schedule with these steps, and without experiments."""
        return replace(self, steps=steps, experiments=NO_EXPERIMENTS)


def default_max_lateness(delay: timedelta, next_delay: timedelta | None) -> timedelta:
    """Return the default of `max_lateness`: half of the time to the next step, at most 12 hours."""
    return LONGEST_USEFULNESS if next_delay is None else min((next_delay - delay) / 2, LONGEST_USEFULNESS)
