"""The schedule of a shop: which messages there are, when each is due, and what stops it."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

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
    def stops_on_order(self) -> bool:
        """Whether an order of the checkout calls it off."""
        return self is MessageKind.REMINDER


class OnAmbiguous(StrEnum):
    """What to do when a message may have reached the relay: its sender died, or the line went dead after the last dot.

    `resend` may write twice (with the same Message-ID); `skip` may never write at all.
    """

    RESEND = "resend"
    SKIP = "skip"


class StopOn(StrEnum):
    """Which orders end the reminders of a checkout: its own alone, or also others of the same customer."""

    CHECKOUT = "checkout"
    CUSTOMER = "customer"


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

    @property
    def kind(self) -> MessageKind:
        """The kind of the message."""
        return MessageKind.of(self.name)


@dataclass(frozen=True, slots=True)
class Schedule:
    """All that decides when a checkout is written to.

    `steps` are in the order of their delays. `confirmation` is None where the shop confirms orders itself.
    `min_gap` is the least time between two reminders of one checkout, `min_gap_per_address` between any two to one
    address, which moves the later one. No reminder goes out in `quiet_hours` of the customer's time zone, or of
    `time_zone` where that is unknown; nor without consent where `require_consent` says so. `lease` bounds how long one
    send may take. A message is tried `max_attempts` times at the most. `retention` is how long a checkout at rest is
    kept.
    """

    steps: tuple[Step, ...]
    confirmation: Step | None
    min_gap: timedelta = timedelta(hours=6)
    min_gap_per_address: timedelta = timedelta(hours=12)
    quiet_hours: QuietHours | None = None
    time_zone: str = "UTC"
    require_consent: bool = False
    stop_on: StopOn = StopOn.CHECKOUT
    on_ambiguous: OnAmbiguous = OnAmbiguous.RESEND
    max_attempts: int = 5
    retry_after: timedelta = timedelta(minutes=5)
    lease: timedelta = timedelta(minutes=1)
    retention: timedelta = timedelta(days=30)

    @property
    def messages(self) -> tuple[Step, ...]:
        """All that is ever sent: the steps, and the confirmation."""
        return self.steps if self.confirmation is None else (*self.steps, self.confirmation)


def default_max_lateness(delay: timedelta, next_delay: timedelta | None) -> timedelta:
    """Return how late a step may be where the shop did not say: half of the time to the next, at most 12 hours."""
    return LONGEST_USEFULNESS if next_delay is None else min((next_delay - delay) / 2, LONGEST_USEFULNESS)
