"""Shared work of replays: checkouts that were left within the same quarter of an hour of a day mostly fare alike.

Alone, the mails of an unordered checkout depend on when it was left, on the zone of its quiet hours and on consent.
As that time moves on within a quarter of an hour, each mail moves along with it, or stands still at the end of quiet
hours; only where quiet hours begin does it leap, and then by their whole length. So both ends of the quarter are
replayed. If each mail has moved from one end to the other exactly as far as the checkout, or not at all, then the same
holds for all checkouts between them; and for those of another day, all is later by whole days. Otherwise, and near a
change of the clocks, each checkout is replayed by itself. So it is where an experiment decides by the address. Without
quiet hours all mails move along, however far.

Times are counted in ticks of a microsecond here: arithmetic with whole numbers takes a fraction of that with dates.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from recovery.domain.quiet_hours import zone
from recovery.domain.schedule import Schedule
from recovery.domain.simulation.courses import Course
from recovery.domain.simulation.replay import TICK, Cause, Entry, never_ordered, replay

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""The time from which ticks are counted."""

LENGTH = timedelta(minutes=15)
_DAY = timedelta(days=1)
_PIECE, _A_DAY = 15, 24 * 60
"""The length of a piece, and of a day, in minutes."""

_TICKS_A_PIECE, TICKS_A_DAY = LENGTH // TICK, _DAY // TICK


def ticks(at: datetime) -> int:
    """Return a time in ticks since the epoch."""
    return (at - EPOCH) // TICK


class Piece:
    """What becomes of checkouts that are left from `begin` on, each message with whether it moves along.

    `entries` are those of a checkout left at `begin`, and `moments` the same in ticks: time, whether it moves along,
    step, whether it is sent, cause of a move. `counts` are for whoever counts checkouts of this piece.
    """

    __slots__ = ("begin", "begin_ticks", "counts", "entries", "moments")

    def __init__(self, begin: datetime, entries: Sequence[tuple[Entry, bool]]) -> None:
        self.begin = begin
        self.begin_ticks = ticks(begin)
        self.entries = entries
        self.moments: Sequence[tuple[int, bool, str, bool, Cause | None]] = [
            (ticks(entry.at), moves, entry.step, entry.reason is None, entry.moved_by) for entry, moves in entries
        ]
        self.counts: defaultdict[tuple[int, bool], int] = defaultdict(int)

    def at(self, left_at: datetime) -> list[Entry]:
        """Return the entries of a checkout left at this time, or at the same time of another day."""
        later = left_at - self.begin
        days = later // _DAY * _DAY
        return [
            Entry(entry.at + (later if moves else days), entry.step, entry.reason, entry.moved_by)
            for entry, moves in self.entries
        ]


class Pieces:
    """What becomes of checkouts under a schedule if they are not ordered and nothing else comes between."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._pieces: dict[Any, Piece | None] = {}
        self._steady: dict[tuple[int, str], timedelta | None] = {}
        self._reach = max((step.delay for step in schedule.steps), default=timedelta()) + 3 * _DAY
        quiet = schedule.quiet_hours
        self._has_quiet_hours = quiet is not None
        self._is_too_short = quiet is not None and 0 < (_minutes(quiet.end) - _minutes(quiet.begin)) % _A_DAY <= _PIECE

    @property
    def all(self) -> Sequence[Piece]:
        """The pieces that were found so far."""
        return [each for each in self._pieces.values() if each is not None]

    def of(self, course: Course) -> list[Entry]:
        """Return the entries of a checkout that is `plain`, as if it were not ordered."""
        piece = self.find(course, ticks(course.left_at))
        return replay([never_ordered(course)], self._schedule)[0] if piece is None else piece.at(course.left_at)

    def find(self, course: Course, left: int) -> Piece | None:
        """Return the piece of a checkout that is `plain` and was left at this tick, or None if none is certain."""
        if not self._has_quiet_hours:
            key: Any = course.consent_given
            begin = 0
        else:
            where = course.facts.time_zone or self._schedule.time_zone
            day, since = divmod(left, TICKS_A_DAY)
            offset = self._offset(day, where)
            if self._is_too_short or offset is None:
                return None
            quarter = since // _TICKS_A_PIECE
            key = quarter, offset, where, course.consent_given
            begin = day * TICKS_A_DAY + quarter * _TICKS_A_PIECE
        if key not in self._pieces:
            self._pieces[key] = self._piece(course, EPOCH + begin * TICK)
        return self._pieces[key]

    def _piece(self, like: Course, begin: datetime) -> Piece | None:
        """Return the piece of all checkouts `like` this one that are left from `begin` on, or None."""
        length = LENGTH - TICK
        first = replay([_left(like, begin)], self._schedule)[0]
        last = replay([_left(like, begin + length)], self._schedule)[0]
        if [entry[1:] for entry in first] != [entry[1:] for entry in last]:
            return None
        moved = [after.at - before.at for before, after in zip(first, last, strict=True)]
        if any(each not in (timedelta(), length) for each in moved):
            return None
        return Piece(begin, [(entry, each == length) for entry, each in zip(first, moved, strict=True)])

    def _offset(self, day: int, where: str) -> timedelta | None:
        """Return the offset of a zone from UTC, or None if its clocks change near this day."""
        key = day, where
        if key not in self._steady:
            midnight = EPOCH + day * _DAY
            found = {at.astimezone(zone(where)).utcoffset() for at in (midnight - _DAY, midnight + self._reach)}
            self._steady[key] = found.pop() if len(found) == 1 else None
        return self._steady[key]


def _left(like: Course, at: datetime) -> Course:
    """Return a course like this one, of a checkout left at another time: consent counts from the beginning."""
    consent = None if like.consent is None else like.consent.model_copy(update={"at": EPOCH})
    return Course(like.id, like.person, at, at, like.facts, consent)


def _minutes(wall: time) -> int:
    return wall.hour * 60 + wall.minute
