"""The checker: the ledger against the relay's record, as one row and a verdict. Pure."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil

from tests.chaos.ledger import CONFIRMATION, Key, Ledger

AFTER_ORDER = 1.0
"""Seconds after `order()` returned in which a reminder that was on its way may still arrive: the promise."""

LATE = 1.0
"""Seconds beyond which a mail counts as late when the time to recover is told."""

TOO_EARLY = 0.05
"""Seconds that the daemon's clock, measured over one round trip, may be before the server's."""

IN_PLAIN_SIGHT = ("skipped", "dead")


ON_TIME = 1.0
"""Seconds that the 99th percentile of lateness may be where nothing is at fault."""

LOST = "lost after the dot"


class TooSlow(str):
    """A sentence about a promise that was kept, but too slowly: a loaded machine may be the reason."""

    __slots__ = ()


NAMED = 5
"""Offenders that are named."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A mail that the relay took, and when; `handed_at` is when its content began to come (Unix seconds)."""

    key: Key
    at: float
    handed_at: float = 0.0

    @property
    def handed_over(self) -> float:
        """When it was handed over: how long the relay thinks about it is not the sender's."""
        return self.handed_at or self.at


@dataclass(frozen=True, slots=True)
class Promise:
    """What a scenario must show beyond the constants.

    Those are: lost 0, nothing early, nothing after the order, no double that no accident excuses, all in order at the
    end.

    `dead` is how many there may be at most. `skipped` says whether reminders may be skipped. `recover_within` bounds
    the time to recover, in seconds. `on_time` says that nothing is at fault: then lateness is judged as well, and the
    sweep finds nothing to do.
    """

    dead: int = 0
    skipped: bool = False
    recover_within: float | None = None
    on_time: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table, and what was broken, a sentence each. Times in seconds; None where there is nothing."""

    scenario: str
    due: int
    sent: int
    lost: int
    doubled: int
    after_order: int
    early: int
    skipped: int
    dead: int
    p99: float | None
    largest: float | None
    recovered: float | None
    broken: tuple[str, ...] = ()
    seed: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen: the mails taken, how each message stands in the database, when the last fault was over.

    `ends` are state and reason by message. `excused` are the messages that may have been taken twice: each was with the
    relay and unrecorded when its sender was killed or its line cut. Of `erased` checkouts nothing may be left.
    `swept` is how often a sweep did the streams' work. `observed` are sentences on what else a scenario found broken.
    """

    ledger: Ledger
    accepted: Sequence[Accepted]
    ends: Mapping[Key, tuple[str, str]]
    delays: Mapping[str, float]
    confirms: bool = False
    healed_at: float | None = None
    postponed: Collection[Key] = field(default_factory=frozenset)
    excused: Collection[Key] = field(default_factory=frozenset)
    erased: Collection[str] = field(default_factory=frozenset)
    swept: float = 0
    observed: Sequence[str] = ()
    notes: Sequence[str] = ()


def judge(scenario: str, evidence: Evidence, promise: Promise) -> Row:
    """Return the row of a scenario: green where `broken` is empty."""
    due = evidence.ledger.due(evidence.delays, confirms=evidence.confirms)
    first: dict[Key, float] = {}
    for mail in sorted(evidence.accepted, key=lambda mail: mail.at):
        first.setdefault(mail.key, mail.at)
    times = Counter(mail.key for mail in evidence.accepted)
    ends = {key: evidence.ends.get(key, ("", "")) for key in due}
    unsent = [key for key in due if key not in first and key not in evidence.postponed]
    in_sight = [key for key in unsent if ends[key][0] in IN_PLAIN_SIGHT and ends[key][1]]
    lateness = sorted(first[key] - due[key] for key in due if key in first)
    row = Row(
        scenario=scenario,
        due=len(due) - len(evidence.postponed),
        sent=len(lateness),
        lost=len(unsent) - len(in_sight),
        doubled=sum(count - 1 for count in times.values()),
        after_order=len(_after_order(evidence)),
        early=sum(late < -TOO_EARLY for late in lateness),
        skipped=sum(ends[key][0] == "skipped" for key in in_sight),
        dead=sum(ends[key][0] == "dead" for key in in_sight),
        p99=lateness[ceil(len(lateness) * 0.99) - 1] if lateness else None,
        largest=lateness[-1] if lateness else None,
        recovered=_recovered(evidence, due, first),
        notes=tuple(evidence.notes),
    )
    broken = (
        *_broken(row, promise, evidence),
        *_doubled(times, evidence),
        *_unrecorded(first, evidence),
        *_strangers(evidence),
        *evidence.observed,
    )
    return Row(**{name: getattr(row, name) for name in Row.__slots__} | {"broken": broken})


def _after_order(evidence: Evidence) -> list[Accepted]:
    entries = evidence.ledger.entries
    return [
        mail
        for mail in evidence.accepted
        if mail.key.step != CONFIRMATION
        and (entry := entries.get(mail.key.checkout)) is not None
        and entry.stopped_at is not None
        and mail.handed_over > entry.stopped_at + AFTER_ORDER
    ]


def _recovered(evidence: Evidence, due: Mapping[Key, float], first: Mapping[Key, float]) -> float | None:
    """Return how long after the last fault a late mail was still taken."""
    healed_at = evidence.healed_at
    if healed_at is None:
        return None
    late = [at for key, at in first.items() if key in due and at > healed_at and at - due[key] > LATE]
    return max(late) - healed_at if late else 0.0


def _broken(row: Row, promise: Promise, evidence: Evidence) -> list[str]:
    found = []
    if row.lost:
        lost = [
            key for key in evidence.ledger.due(evidence.delays, confirms=evidence.confirms) if _is_lost(key, evidence)
        ]
        found.append(
            f"{row.lost} of {row.due} were lost, neither taken by the relay nor given up with a reason: {_named(lost)}"
        )
    if row.after_order:
        late = sorted({f"{mail.key.checkout}#{mail.key.step}" for mail in _after_order(evidence)})
        found.append(
            f"{row.after_order} reminders were handed over later than {AFTER_ORDER:g} s after a call that stops them"
            f" had returned: {_named(late)}"
        )
    if row.early:
        found.append(f"{row.early} were taken before they were due")
    if row.dead > promise.dead:
        found.append(f"{row.dead} are dead, where at most {promise.dead} may be")
    if row.skipped and not promise.skipped:
        found.append(f"{row.skipped} were skipped, where none may be")
    if promise.recover_within is not None and (row.recovered or 0) > promise.recover_within:
        found.append(TooSlow(f"it took {row.recovered:.1f} s to recover, where {promise.recover_within:g} s may be"))
    if promise.on_time and (row.p99 or 0) > ON_TIME:
        found.append(TooSlow(f"the 99th percentile of lateness is {row.p99:.2f} s, where {ON_TIME:g} s may be"))
    if promise.on_time and evidence.swept:
        told = f"{evidence.swept:g} checkouts were found by a sweep, which no stream had told of in time"
        found.append(TooSlow(told))  # a stream that tells of nothing tells of nothing on a quiet machine, too
    return found


def _is_lost(key: Key, evidence: Evidence) -> bool:
    state, why = evidence.ends.get(key, ("", ""))
    taken = any(mail.key == key for mail in evidence.accepted)
    return not taken and key not in evidence.postponed and not (state in IN_PLAIN_SIGHT and why)


def _doubled(times: Mapping[Key, int], evidence: Evidence) -> list[str]:
    """Return which messages were taken too often: twice without an accident that excuses it, or more than twice."""
    found = []
    if wrong := [key for key, count in times.items() if count > 1 and key not in evidence.excused]:
        found.append(f"{len(wrong)} were doubled without an accident that excuses it: {_named(wrong)}")
    if often := [key for key, count in times.items() if count > 2]:
        found.append(f"{len(often)} were taken more than twice: {_named(often)}")
    return found


def _unrecorded(first: Mapping[Key, float], evidence: Evidence) -> list[str]:
    """Return what is sent and has no mail, and what has a mail and no record."""
    found = []
    if without_mail := [key for key, (state, _) in evidence.ends.items() if state == "sent" and key not in first]:
        found.append(f"{len(without_mail)} are recorded as sent, and the relay has no mail: {_named(without_mail)}")
    known = [key for key in first if key.checkout in evidence.ledger.entries and key.checkout not in evidence.erased]
    ends = {key: evidence.ends.get(key, ("", "")) for key in known}
    stopped = {id_ for id_, entry in evidence.ledger.entries.items() if entry.stopped_at is not None}
    if unrecorded := [key for key, end in ends.items() if not _is_recorded(end, stopped=key.checkout in stopped)]:
        ended = {str(ends[key]) for key in unrecorded}
        found.append(f"{len(unrecorded)} were taken and not recorded: {_named(unrecorded)} {sorted(ended)[:NAMED]}")
    return found


def _is_recorded(end: tuple[str, str], *, stopped: bool) -> bool:
    """Return whether a message that was taken ended as such: sent or, where nobody could tell, in doubt.

    One in doubt is dead after the second time; where it was stopped before that, it waits for ever.
    """
    state, why = end
    return state == "sent" or (state, why) == ("dead", LOST) or (stopped and (state, why) == ("waiting", LOST))


def _named(which: Sequence[object]) -> str:
    names = [f"{each.checkout}#{each.step}" if isinstance(each, Key) else str(each) for each in which[:NAMED]]
    return ", ".join(names) + (f" and {len(which) - NAMED} more" if len(which) > NAMED else "")


def _strangers(evidence: Evidence) -> list[str]:
    unknown = {mail.key.checkout for mail in evidence.accepted} - set(evidence.ledger.entries)
    return [f"{len(unknown)} checkouts were written to that nobody had reported"] if unknown else []
