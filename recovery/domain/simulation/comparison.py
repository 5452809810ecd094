"""The comparison of two schedules over the same checkouts: sums, and the checkouts that come out differently."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Schedule
from recovery.domain.simulation.courses import Course
from recovery.domain.simulation.pieces import ticks
from recovery.domain.simulation.replay import Entry
from recovery.domain.simulation.side import Side
from recovery.domain.simulation.sums import Sums

_A_DAY = timedelta(days=1)
MOST_DIFFERENT = 20
"""The number of checkouts that are listed because they come out differently."""


@dataclass(frozen=True, slots=True)
class Schedules:
    """The two schedules of a shop that are compared: the one in force, and the new one."""

    in_force: Schedule
    new: Schedule

    @property
    def longest(self) -> timedelta:
        """The time after which no reminder is left to send, by either: quiet hours and gaps take up to a day."""
        return max((step.delay for step in (*self.in_force.mails, *self.new.mails)), default=timedelta()) + _A_DAY


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of a message: sent at a time, or not sent. `why`: why then, or why not."""

    at: datetime | None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A checkout that comes out differently: each message that does, by the schedule in force and the new."""

    course: Course
    fates: Sequence[tuple[str, Fate, Fate]]


def _difference(course: Course, schedules: Schedules, old: Sequence[Entry], new: Sequence[Entry]) -> Difference:
    """Return the differences of a checkout by two schedules, those of its arms."""
    steps = dict.fromkeys(each.name for each in (*schedules.in_force.messages, *schedules.new.messages))
    fates = [
        (step, _fate(course, schedules.in_force, step, old), _fate(course, schedules.new, step, new)) for step in steps
    ]
    return Difference(course, [each for each in fates if each[1].at != each[2].at])


def _fate(course: Course, schedule: Schedule, step: str, entries: Sequence[Entry]) -> Fate:
    for entry in entries:
        if entry.step == step:
            moved = None if entry.moved_by is None else f"moved by {entry.moved_by}"
            return Fate(entry.at, moved) if entry.reason is None else Fate(None, entry.reason)
    if step not in {each.name for each in schedule.messages}:
        return Fate(None, "no such step")
    return Fate(None, "ordered before" if course.ordered_at is not None else "paused" if course.paused else "not due")


@dataclass(slots=True)
class Comparison:
    """What two schedules do with the same checkouts.

    `same`: as many get the same mails at the same times, `moved` the same mails at other times, `changed` other mails.
    `different` lists the first of those that are changed, then of those that are moved. `apart` counts the checkouts
    that were not simulated, by reason. `suppressed` counts those whose address is suppressed by now.
    """

    checkouts: int = 0
    same: int = 0
    moved: int = 0
    changed: int = 0
    suppressed: int = 0
    apart: Counter[str] = field(default_factory=Counter)
    in_force: Sums = field(default_factory=Sums)
    new: Sums = field(default_factory=Sums)
    first_changed: list[Difference] = field(default_factory=list)
    first_moved: list[Difference] = field(default_factory=list)
    most_listed: int = MOST_DIFFERENT

    @property
    def different(self) -> Sequence[Difference]:
        """The checkouts that are listed."""
        return [*self.first_changed, *self.first_moved][: self.most_listed]

    def add(self, other: "Comparison") -> None:
        """Add a comparison of the same schedules over other checkouts."""
        self.checkouts += other.checkouts
        self.same += other.same
        self.moved += other.moved
        self.changed += other.changed
        self.suppressed += other.suppressed
        self.apart += other.apart
        self.in_force.add(other.in_force)
        self.new.add(other.new)
        self.first_changed = [*self.first_changed, *other.first_changed][: self.most_listed]
        self.first_moved = [*self.first_moved, *other.first_moved][: self.most_listed]


class Simulation:
    """Replays checkouts by both schedules of their shop; `result` is what came of it so far."""

    def __init__(self, schedules: PerShop[Schedules], most_listed: int = MOST_DIFFERENT) -> None:
        self.schedules = schedules
        self._result = Comparison(most_listed=most_listed)
        self._sides: dict[str, tuple[Side, Side]] = {}

    @property
    def result(self) -> Comparison:
        """What both schedules did with the checkouts so far."""
        for each in self._sides.values():
            for side in each:
                side.sum_up()
        return self._result

    def take_result(self) -> Comparison:
        """Return the result, and begin a new one; what was worked out for these checkouts serves those to come."""
        taken = self.result
        self._result = Comparison(most_listed=taken.most_listed)
        for in_force, new in self._sides.values():
            in_force.begin(self._result.in_force)
            new.begin(self._result.new)
        return taken

    def add(self, shop: str, courses: Sequence[Course]) -> None:
        """Replay checkouts of one person at one shop. All of them that matter to each other must come together."""
        sides = self._sides.get(shop) or self._begun(shop)
        self._result.checkouts += len(courses)
        if len(courses) == 1 and courses[0].is_plain and self._count(sides, courses[0]):
            return
        in_force, new = (side.take(courses) for side in sides)
        for course, old, other in zip(courses, in_force, new, strict=True):
            self._result.suppressed += course.suppression is not None
            listed = self._compared(_mails(old), _mails(other))
            if listed is not None:
                listed.append(_difference(course, self._schedules(sides, course), old, other))

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count checkouts that cannot be simulated."""
        self._result.apart[reason] += count

    def _count(self, sides: tuple[Side, Side], course: Course) -> bool:
        """Count a plain checkout, the only one of its person, if a piece of it is certain under both schedules."""
        left = ticks(course.left_at)
        ways = [side.way(course.person) for side in sides]
        pieces = [way.piece(course, left) for way in ways]
        if pieces[0] is None or pieces[1] is None:
            return False
        mails, others = ways[0].count(course, left, pieces[0]), ways[1].count(course, left, pieces[1])
        for side, sent in zip(sides, (mails, others), strict=True):
            side.count_arms(course.person, 1, (step for step, _ in sent))
        listed = self._compared(mails, others)
        if listed is not None:
            old, new = (way.entries([course])[0] for way in ways)
            listed.append(_difference(course, self._schedules(sides, course), old, new))
        return True

    def _compared(self, mails: Sequence[tuple[str, Any]], others: Sequence[tuple[str, Any]]) -> list[Difference] | None:
        """Count a checkout by what both schedules send for it, each mail by step and time.

        Return the list that it belongs in, if it is among the first that come out differently.
        """
        result = self._result
        if mails == others:
            result.same += 1
            return None
        if sorted(step for step, _ in mails) == sorted(step for step, _ in others):
            result.moved += 1
            listed = result.first_moved
        else:
            result.changed += 1
            listed = result.first_changed
        return listed if len(listed) < result.most_listed else None

    def _begun(self, shop: str) -> tuple[Side, Side]:
        schedules, result = self.schedules.of_shop(shop), self._result
        where = schedules.in_force.time_zone
        old, new = ((schedules.in_force, result.in_force), (schedules.new, result.new))
        sides = Side(*old, where, shop), Side(*new, where, shop)
        self._sides[shop] = sides
        return sides

    def _schedules(self, sides: tuple[Side, Side], course: Course) -> Schedules:
        """Return both schedules as they are for the person of a checkout."""
        in_force, new = (side.way(course.person).schedule for side in sides)
        return Schedules(in_force, new)


def _mails(entries: Sequence[Entry]) -> list[tuple[str, datetime]]:
    return [(entry.step, entry.at) for entry in entries if entry.reason is None]
