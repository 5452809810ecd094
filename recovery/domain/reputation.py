"""Our reputation with a receiver: too many unknown users or complaints, and mails to it go out at a lower rate.

What is counted is 24 hours of messages, since complaints come hours after the message.
"""

from dataclasses import dataclass

from recovery.domain.warmup import LEAST_COMPLAINTS

MOST_UNKNOWN = 0.05
"""The share of unknown users above which mails are slowed: Amazon SES reviews senders at 5 % of hard bounces."""

FEW_UNKNOWN = 0.02
"""The share of unknown users below which they are so no more: most list keepers call 2 % healthy."""

LEAST_MESSAGES = 50
"""Messages in 24 hours below which the share of unknown users says nothing: one in twenty may be chance."""

MOST_COMPLAINTS = 0.003
"""The share of complaints above which mails are slowed: Google's and Yahoo's limit for bulk senders (2024)."""

FEW_COMPLAINTS = 0.001
"""The share of complaints below which they are so no more: where Google asks bulk senders to stay."""

PART = 0.5
"""The part of the rate of the busiest hour that is left: a day's messages fit in, if its mean hour is half as busy."""

LEAST_RATE = 0.2
"""Messages a second that are left at least: twelve a minute."""


@dataclass(frozen=True, slots=True)
class Day:
    """What a receiver said in 24 hours: the messages that it `answered`, and how many it answered in the busiest hour.

    `unknown` are those to addresses that do not exist, as it said at once or later.
    """

    answered: int
    accepted: int
    unknown: int
    complaints: int
    busiest_hour: int


@dataclass(frozen=True, slots=True)
class Cap:
    """A limit on the messages to a receiver, in messages a second, and the reason for it."""

    rate: float
    why: str


def cap(day: Day, *, capped: bool) -> Cap | None:
    """Return the cap that our reputation with a receiver asks for, or None.

    Where mails are `capped` already, they are so until the share is well below the limit.
    """
    why = _too_many_unknown(day, capped=capped) or _too_many_complaints(day, capped=capped)
    return Cap(max(PART * day.busiest_hour / 3600, LEAST_RATE), why) if why else None


def _too_many_unknown(day: Day, *, capped: bool) -> str | None:
    limit = FEW_UNKNOWN if capped else MOST_UNKNOWN
    if day.answered < LEAST_MESSAGES or day.unknown <= limit * day.answered:
        return None
    share = day.unknown / day.answered
    return f"{share:.1%} of {day.answered} messages in 24 hours were to unknown users, above {limit:.0%}"


def _too_many_complaints(day: Day, *, capped: bool) -> str | None:
    limit = FEW_COMPLAINTS if capped else MOST_COMPLAINTS
    if day.complaints < LEAST_COMPLAINTS or day.complaints <= limit * day.accepted:
        return None
    return f"{day.complaints} complaints about {day.accepted} messages in 24 hours, above {limit:.1%}"
