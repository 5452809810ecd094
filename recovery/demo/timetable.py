"""Expected mails of the demo and their times: derived from the story alone, independent of the code that is shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from recovery.domain.schedule import CONFIRMATION

CLOCK_ERROR = timedelta(milliseconds=50)
"""Tolerance between two readings of the database's clock while both cores are busy, and for early mails."""


class Kind(StrEnum):
    """Kind of event: a checkout left (or left again), ordered, or cancelled."""

    LEFT = "left"
    ORDERED = "ordered"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Event:
    """A reported scene. `reported_at` is its time as reported, `stored_at` as Recovery stored it."""

    kind: Kind
    reported_at: datetime
    stored_at: datetime


def expected(events: Sequence[Event], delays: Mapping[str, timedelta]) -> dict[str, datetime]:
    """Return the messages expected after these events, each with its due time.

    `events` are in the order of their reports; `delays` are those of the reminders, by name, the least first.
    """
    due: dict[str, datetime] = {}
    counted = list(counting(events))
    ends = [event.stored_at for event in counted[1:]] + [datetime.max.replace(tzinfo=counted[0].stored_at.tzinfo)]
    for event, until in zip(counted, ends, strict=True):
        match event.kind:
            case Kind.LEFT:
                for step, delay in delays.items():
                    if step not in due and event.stored_at + delay < until:
                        due[step] = event.stored_at + delay
            case Kind.ORDERED:
                due[CONFIRMATION] = event.stored_at
            case Kind.CANCELLED:
                pass
    return due


def counting(events: Sequence[Event]) -> Iterator[Event]:
    """Yield the events up to the final one: nothing counts after an order or a cancellation."""
    for event in events:
        yield event
        if event.kind is not Kind.LEFT:
            return


def wrongly_stored(events: Sequence[Event]) -> str | None:
    """Return a sentence on a time stored differently from its report, or None. Due times would be wrong with it."""
    for event in counting(events):
        if abs(event.stored_at - event.reported_at) > CLOCK_ERROR:
            return f"was {event.kind} at {event.reported_at:%H:%M:%S.%f}, but {event.stored_at:%H:%M:%S.%f} was stored"
    return None
