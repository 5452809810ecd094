"""The replay of checkouts on a virtual clock: it jumps from one time at which something is to do to the next.

All decisions are those of `decide()` and `held_back()`. Nothing fails here: a mail that is sent arrives, at once.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import heappop, heappush
from typing import Any, NamedTuple

from recovery.domain.decision import Rest, Send, Wait, decide, with_arms
from recovery.domain.quiet_hours import zone
from recovery.domain.recipient import NOTHING_KNOWN, Other, Postpone, RecipientHistory, held_back
from recovery.domain.schedule import MessageKind, Schedule, Step
from recovery.domain.simulation.courses import Course
from recovery.domain.state import CheckoutState, Message, MessageState, Status

TICK = timedelta(microseconds=1)
"""The shortest time that a `datetime` can tell."""

_SENT = Message(state=MessageState.SENT)
_SKIPPED = Message(state=MessageState.SKIPPED)
_WAITING = Message()


class Cause(StrEnum):
    """The cause for which a reminder is sent later than its delay says."""

    QUIET_HOURS = "quiet hours"
    GAP = "gap"


class Entry(NamedTuple):
    """What became of one message: sent at a time, or not sent, for a `reason`. `moved_by`: what made it later."""

    at: datetime
    step: str
    reason: str | None = None
    moved_by: Cause | None = None


class _Running:
    """A checkout of which the replay is under way."""

    __slots__ = ("changes", "course", "entries", "messages", "number", "state", "written_at")

    def __init__(self, number: int, course: Course, begun: Sequence[Entry]) -> None:
        self.number = number
        self.course = course
        self.messages: dict[str, Message] = {}
        self.state: CheckoutState = course.as_left(self.messages)
        self.changes: list[tuple[datetime, dict[str, Any]]] = course.changes()
        self.entries: list[Entry] = []
        self.written_at: datetime | None = None
        for entry in begun:
            self.enter(entry)

    def enter(self, entry: Entry) -> None:
        """Enter what became of a message."""
        self.entries.append(entry)
        if entry.reason is not None:
            self.messages[entry.step] = _SKIPPED
            return
        self.messages[entry.step] = _SENT.model_copy(update={"sent_at": entry.at})
        if MessageKind.of(entry.step).counts_for_gap:
            self.written_at = entry.at

    def key(self, at: datetime) -> tuple[datetime, bool, str, int]:
        """Return the place of a look at `at` in the order of looks: that of the daemon, confirmations first."""
        return at, self.state.status is not Status.ORDERED, self.course.id, self.number

    def catch_up(self, now: datetime) -> None:
        """Make the changes that have come by now."""
        while self.changes and self.changes[-1][0] <= now:
            self.state = self.state.model_copy(update=self.changes.pop()[1])

    def next_look(self, until: datetime | None) -> datetime | None:
        """Return the time of the next look: `until`, or that of the next change if it comes first."""
        if not self.changes:
            return until
        changed_at = self.changes[-1][0]
        return changed_at if until is None or changed_at < until else until

    def as_other(self, now: datetime) -> Other:
        """Return this checkout as another one of the same person sees it."""
        ordered_at = self.state.ordered_at
        bought = self.state.facts.items if ordered_at is not None and ordered_at <= now else ()
        return Other(written_at=self.written_at, ordered_at=ordered_at, bought=bought)


class Begun(NamedTuple):
    """The part of a replay that is known already: the entries of each checkout from before a time."""

    until: datetime
    entries: Sequence[Sequence[Entry]]


def replay(courses: Sequence[Course], schedule: Schedule, begun: Begun | None = None) -> list[list[Entry]]:
    """Return the entries of one person's checkouts at one shop, in order of time for each.

    Where it has `begun`, only the rest is replayed.
    """
    known = begun.entries if begun is not None else [()] * len(courses)
    all_ = [_Running(number, *each) for number, each in enumerate(zip(courses, known, strict=True))]
    begins = [each.left_at if begun is None else max(each.left_at, begun.until) for each in courses]
    looks = sorted(each.key(begin) for each, begin in zip(all_, begins, strict=True))
    while looks:
        now, _, _, number = heappop(looks)
        each = all_[number]
        each.catch_up(now)
        decision = decide(each.state, schedule, now)
        each.state = with_arms(each.state, decision.assigned)
        for given_up in decision.given_up:
            each.enter(Entry(now, given_up.step, given_up.reason))
        until: datetime | None = None
        match decision:
            case Wait():
                until = decision.until
            case Send():
                _send(each, decision.step, schedule, now, all_)
                until = now
            case Rest():
                pass
        at = each.next_look(until)
        if at is not None:
            heappush(looks, each.key(at))
    return [each.entries for each in all_]


def _send(each: _Running, step: Step, schedule: Schedule, now: datetime, all_: Sequence[_Running]) -> None:
    """Send a message, unless its recipient must not get it or has had another."""
    why = held_back(each.state, step, _history(each, now, all_), schedule, now, 0.0)
    if why is None:
        each.enter(Entry(now, step.name, None, moved_by(each.course, step, schedule, now)))
    elif isinstance(why, Postpone):
        each.messages[step.name] = _WAITING.model_copy(update={"deferred_to": why.until})
    else:  # skipped: nothing is called off here, as all is known
        each.enter(Entry(now, step.name, why.reason))


def _history(each: _Running, now: datetime, all_: Sequence[_Running]) -> RecipientHistory:
    suppression = each.course.suppression
    if suppression is not None and suppression.at > now:
        suppression = None
    if len(all_) == 1:
        return NOTHING_KNOWN if suppression is None else RecipientHistory(suppression)
    return RecipientHistory(suppression, [other.as_other(now) for other in all_ if other is not each])


def moved_by(course: Course, step: Step, schedule: Schedule, at: datetime) -> Cause | None:
    """Return the cause for which a message is later than its delay says, or None; the last of several counts."""
    if not step.kind.respects_quiet_hours or at <= course.left_at + step.delay:
        return None
    quiet = schedule.quiet_hours
    if quiet is None:
        return Cause.GAP
    where = zone(course.facts.time_zone or schedule.time_zone)
    return Cause.QUIET_HOURS if quiet.end_after(at - TICK, where) == at else Cause.GAP


def never_ordered(course: Course) -> Course:
    """Return the course of the checkout if it had not been ordered."""
    return course if course.ordered_at is None else replace(course, ordered_at=None)
