"""Which mails an afternoon must bring, and when: told from the story alone, and not by the code that the demo shows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.domain.schedule import CONFIRMATION

CLOCK_ERROR = timedelta(milliseconds=50)
"""By how much two readings of the database's clock may differ while both cores are busy; no mail is early by less."""


class Kind(StrEnum):
    """What a scene is: a checkout left (anew), ordered, or cancelled."""

    LEFT = "left"
    ORDERED = "ordered"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Event:
    """A scene that was played. `told_at` is its time as reported, `kept_at` as Recovery then knew it."""

    kind: Kind
    told_at: datetime
    kept_at: datetime


def expected(events: Sequence[Event], delays: Mapping[str, timedelta]) -> dict[str, datetime]:
    """Return the messages that these events call for, each with the time it is due at.

    `events` are in the order in which they were told; `delays` are those of the reminders, by name, the least first.
    """
    due: dict[str, datetime] = {}
    counted = list(counting(events))
    ends = [event.kept_at for event in counted[1:]] + [datetime.max.replace(tzinfo=counted[0].kept_at.tzinfo)]
    for event, until in zip(counted, ends, strict=True):
        match event.kind:
            case Kind.LEFT:
                for step, delay in delays.items():
                    if step not in due and event.kept_at + delay < until:
                        due[step] = event.kept_at + delay
            case Kind.ORDERED:
                due[CONFIRMATION] = event.kept_at
            case Kind.CANCELLED:
                pass
    return due


def counting(events: Sequence[Event]) -> Iterator[Event]:
    """Yield the events up to the one that ends it all: nothing counts after an order or a cancellation."""
    for event in events:
        yield event
        if event.kind is not Kind.LEFT:
            return


def ill_kept(events: Sequence[Event]) -> str | None:
    """Return a sentence on a time that is not kept as it was told, or None: then what is due would be wrong, too."""
    for event in counting(events):
        if abs(event.kept_at - event.told_at) > CLOCK_ERROR:
            return f"was {event.kind} at {event.told_at:%H:%M:%S.%f}, but that is kept as {event.kept_at:%H:%M:%S.%f}"
    return None
