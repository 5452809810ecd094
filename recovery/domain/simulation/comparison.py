"""The comparison of two schedules over the same checkouts: sums, and the checkouts that come out differently."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from recovery.domain.per_shop import PerShop
from recovery.domain.quiet_hours import zone
from recovery.domain.schedule import CONFIRMATION, Schedule, StopOn
from recovery.domain.simulation.arms import NO_ARMS, Arms
from recovery.domain.simulation.courses import Course
from recovery.domain.simulation.pieces import Pieces
from recovery.domain.simulation.replay import Cause, Entry, never_ordered, replay

HOURS_A_WEEK = 7 * 24
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


@dataclass(slots=True)
class Sums:
    """What a schedule does, summed up. Counts are by step, as `recovery list` names it.

    `hours` are the mails by hour of the week, in the shop's zone, from Monday 0:00 on. `moved` counts the reminders
    that quiet hours or gaps made later, and `moved_for` how much later they were together. `skipped` counts messages
    that were not sent, by step and reason. `saved` counts reminders that were not sent since the order came first.
    `ordered_unreminded` counts the people among `ordered` who had no reminder before. `arms` counts the checkouts in
    each arm of each experiment, and `arm_reminders` their reminders.
    """

    mails: Counter[str] = field(default_factory=Counter)
    hours: list[int] = field(default_factory=lambda: [0] * HOURS_A_WEEK)
    moved: Counter[tuple[str, Cause]] = field(default_factory=Counter)
    moved_for: dict[Cause, timedelta] = field(default_factory=lambda: dict.fromkeys(Cause, timedelta()))
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    saved: Counter[str] = field(default_factory=Counter)
    ordered: int = 0
    ordered_unreminded: int = 0
    arms: Counter[tuple[str, str]] = field(default_factory=Counter)
    arm_reminders: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def reminders(self) -> int:
        """The number of reminders."""
        return sum(count for step, count in self.mails.items() if step != CONFIRMATION)

    def add(self, other: "Sums") -> None:
        """Add the sums of other checkouts."""
        self.mails += other.mails
        self.moved += other.moved
        self.skipped += other.skipped
        self.saved += other.saved
        self.hours = [one + more for one, more in zip(self.hours, other.hours, strict=True)]
        self.moved_for = {cause: by + other.moved_for[cause] for cause, by in self.moved_for.items()}
        self.ordered += other.ordered
        self.ordered_unreminded += other.ordered_unreminded
        self.arms += other.arms
        self.arm_reminders += other.arm_reminders


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


class _Way:
    """The steps of one arm at work: it replays checkouts, and sums up."""

    def __init__(self, schedule: Schedule, sums: Sums, shops_zone: str) -> None:
        self._schedule = schedule
        self._sums = sums
        self._pieces = Pieces(schedule)
        self._zone = zone(shops_zone)
        self._delays = {step.name: step.delay for step in schedule.steps}
        self._confirmed: dict[tuple[bool, bool], Sequence[Entry]] = {}

    def take(self, courses: Sequence[Course]) -> list[list[Entry]]:
        """Return the entries of the checkouts of one person at one shop, and add them to the sums."""
        unordered = [self._unordered(course) for course in courses]
        entries = self._entries(courses, unordered)
        for course, found, ahead in zip(courses, entries, unordered, strict=True):
            self._sum_up(course, found, ahead)
        return entries

    def _unordered(self, course: Course) -> list[Entry]:
        """Return the entries of a checkout as if it were not ordered, and the only one of its person."""
        return self._pieces.of(course) if course.is_plain else replay([never_ordered(course)], self._schedule)[0]

    def _entries(self, courses: Sequence[Course], unordered: Sequence[list[Entry]]) -> list[list[Entry]]:
        """Replay the checkouts together, or take them as if each were alone where that comes to the same."""
        if not all(course.is_plain for course in courses):
            return replay(courses, self._schedule)
        alone = [self._until_ordered(*each) for each in zip(courses, unordered, strict=True)]
        if len(courses) == 1 or self._keep_apart(alone):
            return alone
        return replay(courses, self._schedule)

    def _until_ordered(self, course: Course, unordered: list[Entry]) -> list[Entry]:
        """Return the entries of a plain checkout: the same as if it were not ordered, until it is."""
        ordered_at = course.ordered_at
        if ordered_at is None:
            return unordered
        kind = course.confirm, course.facts.customer is not None
        if kind not in self._confirmed:
            at_once = Course("", None, ordered_at, ordered_at, course.facts, ordered_at=ordered_at, confirm=kind[0])
            self._confirmed[kind] = replay([at_once], self._schedule)[0]
        confirmed = [entry._replace(at=ordered_at) for entry in self._confirmed[kind]]
        return [entry for entry in unordered if entry.at < ordered_at] + confirmed

    def _keep_apart(self, entries: Sequence[Sequence[Entry]]) -> bool:
        """Return whether checkouts of one person do not matter to each other: no gap holds back a reminder."""
        if self._schedule.stop_on is StopOn.CUSTOMER:
            return False
        gap = self._schedule.min_gap_per_address
        if not gap:
            return True
        sent = sorted((each.at, number) for number, of_one in enumerate(entries) for each in of_one if _reminds(each))
        return all(one == other or later - earlier >= gap for (earlier, one), (later, other) in pairwise(sent))

    def _sum_up(self, course: Course, entries: Sequence[Entry], unordered: Sequence[Entry]) -> None:
        sums = self._sums
        had = set()
        for entry in entries:
            at, step, reason, moved_by = entry
            had.add(step)
            if reason is not None:
                sums.skipped[step, reason] += 1
                continue
            sums.mails[step] += 1
            wall = at.astimezone(self._zone)
            sums.hours[wall.weekday() * 24 + wall.hour] += 1
            if moved_by is not None:
                sums.moved[step, moved_by] += 1
                sums.moved_for[moved_by] += at - course.left_at - self._delays[step]
        if course.ordered_at is not None:
            sums.ordered += 1
            sums.ordered_unreminded += not any(_reminds(entry) for entry in entries)
            sums.saved.update(entry.step for entry in unordered if _reminds(entry) and entry.step not in had)


def _reminds(entry: Entry) -> bool:
    """Return whether a reminder was sent."""
    return entry.reason is None and entry.step != CONFIRMATION


def _mails(entries: Sequence[Entry]) -> list[tuple[str, datetime]]:
    return [(entry.step, entry.at) for entry in entries if entry.reason is None]


class _Side:
    """One schedule of a shop at work: a way for each of the schedules that its experiments make of it."""

    def __init__(self, schedule: Schedule, sums: Sums, shops_zone: str, shop: str) -> None:
        self._arms = Arms(schedule, shop)
        self._sums = sums
        self._zone = shops_zone
        self._ways: dict[int, _Way] = {}
        self._plain = self._way(self._arms.schedule(NO_ARMS))

    def take(self, courses: Sequence[Course]) -> list[list[Entry]]:
        """Return the entries of the checkouts of one person, and add them to the sums."""
        arms = self._arms.of(courses[0].person)
        if not arms:
            return self._plain.take(courses)
        entries = self._way(self._arms.schedule(arms)).take(courses)
        reminders = sum(_reminds(entry) for of_one in entries for entry in of_one)
        for arm in arms.items():
            self._sums.arms[arm] += len(courses)
            self._sums.arm_reminders[arm] += reminders
        return entries

    def schedule(self, course: Course) -> Schedule:
        """Return the schedule of a checkout."""
        return self._arms.schedule(self._arms.of(course.person))

    def _way(self, schedule: Schedule) -> _Way:
        if id(schedule) not in self._ways:
            self._ways[id(schedule)] = _Way(schedule, self._sums, self._zone)
        return self._ways[id(schedule)]


class Simulation:
    """Replays checkouts by both schedules of their shop; `result` is what came of it so far."""

    def __init__(self, schedules: PerShop[Schedules], most_listed: int = MOST_DIFFERENT) -> None:
        self.schedules = schedules
        self.result = Comparison(most_listed=most_listed)
        self._sides: dict[str, tuple[_Side, _Side]] = {}

    def add(self, shop: str, courses: Sequence[Course]) -> None:
        """Replay checkouts of one person at one shop. All of them that matter to each other must come together."""
        in_force, new = self._sides.get(shop) or self._begun(shop)
        result = self.result
        result.checkouts += len(courses)
        for course, old, other in zip(courses, in_force.take(courses), new.take(courses), strict=True):
            result.suppressed += course.suppression is not None
            if old == other or (mails := _mails(old)) == (others := _mails(other)):
                result.same += 1
            elif sorted(step for step, _ in mails) == sorted(step for step, _ in others):
                result.moved += 1
                if len(result.first_moved) < result.most_listed:
                    result.first_moved.append(self._difference(shop, course, old, other))
            else:
                result.changed += 1
                if len(result.first_changed) < result.most_listed:
                    result.first_changed.append(self._difference(shop, course, old, other))

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count checkouts that cannot be simulated."""
        self.result.apart[reason] += count

    def _begun(self, shop: str) -> tuple[_Side, _Side]:
        schedules, result = self.schedules.of_shop(shop), self.result
        where = schedules.in_force.time_zone
        old, new = ((schedules.in_force, result.in_force), (schedules.new, result.new))
        sides = _Side(*old, where, shop), _Side(*new, where, shop)
        self._sides[shop] = sides
        return sides

    def _difference(self, shop: str, course: Course, old: Sequence[Entry], new: Sequence[Entry]) -> Difference:
        in_force, other = self._sides[shop]
        return _difference(course, Schedules(in_force.schedule(course), other.schedule(course)), old, new)
