"""A schedule without experiments at work: it replays checkouts, and sums up what becomes of them.

Most people leave one checkout, and nothing but an order comes between it and its mails. Such a checkout is only
counted, by its piece (`pieces.py`) and by how much of that came before the order; `sum_up` makes sums of the counts.
The others are taken one by one. Tests hold both against plain replays.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from recovery.domain.quiet_hours import zone
from recovery.domain.schedule import CONFIRMATION, Schedule, StopOn
from recovery.domain.simulation.courses import Course
from recovery.domain.simulation.pieces import EPOCH, TICKS_A_DAY, Piece, Pieces, ticks
from recovery.domain.simulation.replay import TICK, Begun, Cause, Entry, never_ordered, replay
from recovery.domain.simulation.sums import Sums

_MINUTE = timedelta(minutes=1)
_TICKS_A_MINUTE = _MINUTE // TICK


class Way:
    """A schedule without experiments. `sums` are complete after `sum_up`; their hours are those of `shops_zone`."""

    def __init__(self, schedule: Schedule, sums: Sums, shops_zone: str) -> None:
        self.schedule = schedule
        self.sums = sums
        self._pieces = Pieces(schedule)
        self._zone = zone(shops_zone)
        self._delays = {step.name: step.delay // TICK for step in schedule.steps}
        self._confirmed: dict[tuple[bool, bool], Sequence[Entry]] = {}
        self._minutes: defaultdict[int, int] = defaultdict(int)
        self._hours: dict[int, int] = {}
        self._moved_for: defaultdict[Cause, int] = defaultdict(int)

    def piece(self, course: Course, left: int) -> Piece | None:
        """Return the piece of a plain checkout that was left at this tick, or None if none is certain."""
        return self._pieces.find(course, left)

    def count(self, course: Course, left: int, piece: Piece) -> list[tuple[str, int]]:
        """Count a plain checkout of this piece, the only one of its person; return its mails: step, and tick."""
        ordered = None if course.ordered_at is None else ticks(course.ordered_at)
        later = left - piece.begin_ticks
        days = later - later % TICKS_A_DAY
        mails: list[tuple[str, int]] = []
        come = 0
        for begin, moves_along, step, is_sent, moved_by in piece.moments:
            at = begin + (later if moves_along else days)
            if ordered is not None and at >= ordered:
                break
            come += 1
            if is_sent:
                mails.append((step, at))
                self._minutes[at // _TICKS_A_MINUTE] += 1
                if moved_by is not None:
                    self._moved_for[moved_by] += at - left - self._delays[step]
        piece.counts[come, ordered is not None] += 1
        if ordered is not None:
            for entry in self._confirmation(course):
                self._add(entry, ordered)
                mails += [(entry.step, ordered)] * (entry.reason is None)
        return mails

    def take(self, courses: Sequence[Course]) -> list[list[Entry]]:
        """Return the entries of the checkouts of one person at one shop, and add them to the sums."""
        unordered = [self._unordered(course) for course in courses]
        entries = self._entries(courses, unordered)
        for course, found, ahead in zip(courses, entries, unordered, strict=True):
            self._sum_up(course, found, ahead)
        return entries

    def entries(self, courses: Sequence[Course]) -> list[list[Entry]]:
        """Return the entries of the checkouts of one person at one shop, without a trace in the sums."""
        return self._entries(courses, [self._unordered(course) for course in courses])

    def sum_up(self) -> None:
        """Add what was counted to the sums."""
        for piece in self._pieces.all:
            for (come, is_ordered), count in piece.counts.items():
                self._add_counted([entry for entry, _ in piece.entries], come, count, is_ordered=is_ordered)
            piece.counts.clear()
        for minute, count in self._minutes.items():  # no zone has had an offset of odd seconds since 1972
            hour = self._hours.get(minute)
            if hour is None:
                wall = (EPOCH + minute * _MINUTE).astimezone(self._zone)
                hour = self._hours[minute] = wall.weekday() * 24 + wall.hour
            self.sums.hours[hour] += count
        for cause, by in self._moved_for.items():
            self.sums.moved_for[cause] += by * TICK
        self._minutes.clear()
        self._moved_for.clear()

    def _add_counted(self, entries: Sequence[Entry], come: int, count: int, *, is_ordered: bool) -> None:
        """Add so many checkouts of a piece, of which so many entries came before the order, or all."""
        sums = self.sums
        for _, step, reason, moved_by in entries[:come]:
            if reason is not None:
                sums.skipped[step, reason] += count
                continue
            sums.mails[step] += count
            if moved_by is not None:
                sums.moved[step, moved_by] += count
        if is_ordered:
            sums.ordered += count
            sums.ordered_unreminded += count * (not any(_reminds(entry) for entry in entries[:come]))
            for entry in entries[come:]:
                if _reminds(entry):
                    sums.saved[entry.step] += count

    def _add(self, entry: Entry, at: int) -> None:
        """Add one message to the sums: `at` is the time of its entry in ticks."""
        if entry.reason is not None:
            self.sums.skipped[entry.step, entry.reason] += 1
        else:
            self.sums.mails[entry.step] += 1
            self._minutes[at // _TICKS_A_MINUTE] += 1

    def _unordered(self, course: Course) -> list[Entry]:
        """Return the entries of a checkout as if it were not ordered, and the only one of its person."""
        return self._pieces.of(course) if course.is_plain else replay([never_ordered(course)], self.schedule)[0]

    def _entries(self, courses: Sequence[Course], unordered: Sequence[list[Entry]]) -> list[list[Entry]]:
        """Replay the checkouts together, from where they matter to each other on: until then each is as if alone."""
        if not all(course.is_plain for course in courses):
            return replay(courses, self.schedule)
        alone = [self._until_ordered(*each) for each in zip(courses, unordered, strict=True)]
        if len(courses) == 1:
            return alone
        if self.schedule.stop_on is StopOn.CUSTOMER:
            return replay(courses, self.schedule)
        met_at = self._meeting(alone)
        if met_at is None:
            return alone
        before = [[entry for entry in entries if entry.at < met_at] for entries in alone]
        return replay(courses, self.schedule, Begun(met_at, before))

    def _until_ordered(self, course: Course, unordered: list[Entry]) -> list[Entry]:
        """Return the entries of a plain checkout: the same as if it were not ordered, until it is."""
        ordered_at = course.ordered_at
        if ordered_at is None:
            return unordered
        confirmed = [entry._replace(at=ordered_at) for entry in self._confirmation(course)]
        return [entry for entry in unordered if entry.at < ordered_at] + confirmed

    def _confirmation(self, course: Course) -> Sequence[Entry]:
        """Return the entries that follow at once from the order of a plain checkout, at any time."""
        kind = course.confirm, course.facts.customer is not None
        if kind not in self._confirmed:
            at_once = Course("", None, EPOCH, EPOCH, course.facts, ordered_at=EPOCH, confirm=kind[0])
            self._confirmed[kind] = replay([at_once], self.schedule)[0]
        return self._confirmed[kind]

    def _meeting(self, entries: Sequence[Sequence[Entry]]) -> datetime | None:
        """Return the time of the first reminder that the gap to one of another checkout holds back, or None."""
        gap = self.schedule.min_gap_per_address
        if not gap:
            return None
        sent = sorted((each.at, number) for number, of_one in enumerate(entries) for each in of_one if _reminds(each))
        for (earlier, one), (later, other) in pairwise(sent):
            if one != other and later - earlier < gap:
                return later
        return None

    def _sum_up(self, course: Course, entries: Sequence[Entry], unordered: Sequence[Entry]) -> None:
        sums = self.sums
        left = ticks(course.left_at)
        for entry in entries:
            at = ticks(entry.at)
            self._add(entry, at)
            if entry.moved_by is not None:
                sums.moved[entry.step, entry.moved_by] += 1
                self._moved_for[entry.moved_by] += at - left - self._delays[entry.step]
        if course.ordered_at is not None:
            had = {entry.step for entry in entries}
            sums.ordered += 1
            sums.ordered_unreminded += not any(_reminds(entry) for entry in entries)
            sums.saved.update(entry.step for entry in unordered if _reminds(entry) and entry.step not in had)


def _reminds(entry: Entry) -> bool:
    """Return whether a reminder was sent."""
    return entry.reason is None and entry.step != CONFIRMATION
