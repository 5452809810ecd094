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


@dataclass(frozen=True, slots=True)
class Accepted:
    """A mail that the relay took, and when (Unix seconds)."""

    key: Key
    at: float


@dataclass(frozen=True, slots=True)
class Promise:
    """What a scenario must show beyond the constants: lost 0, nothing early, nothing after the order.

    `doubled` and `dead` are how many there may be at the most. `skipped` says whether reminders may be skipped.
    `recover_within` bounds the time to recover, in seconds.
    """

    doubled: int = 0
    dead: int = 0
    skipped: bool = False
    recover_within: float | None = None


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

    `ends` are state and reason by message. `observed` are sentences on what else a scenario found broken.
    """

    ledger: Ledger
    accepted: Sequence[Accepted]
    ends: Mapping[Key, tuple[str, str]]
    delays: Mapping[str, float]
    confirms: bool = False
    healed_at: float | None = None
    postponed: Collection[Key] = field(default_factory=frozenset)
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
    broken = (*_broken(row, promise), *_strangers(evidence), *evidence.observed)
    return Row(**{name: getattr(row, name) for name in Row.__slots__} | {"broken": broken})


def _after_order(evidence: Evidence) -> list[Accepted]:
    entries = evidence.ledger.entries
    return [
        mail
        for mail in evidence.accepted
        if mail.key.step != CONFIRMATION
        and (entry := entries.get(mail.key.checkout)) is not None
        and entry.stopped_at is not None
        and mail.at > entry.stopped_at + AFTER_ORDER
    ]


def _recovered(evidence: Evidence, due: Mapping[Key, float], first: Mapping[Key, float]) -> float | None:
    """Return how long after the last fault a late mail was still taken."""
    healed_at = evidence.healed_at
    if healed_at is None:
        return None
    late = [at for key, at in first.items() if key in due and at > healed_at and at - due[key] > LATE]
    return max(late) - healed_at if late else 0.0


def _broken(row: Row, promise: Promise) -> list[str]:
    found = []
    if row.lost:
        found.append(f"{row.lost} of {row.due} were lost: neither taken by the relay nor given up with a reason")
    if row.doubled > promise.doubled:
        found.append(f"{row.doubled} were doubled, where {promise.doubled} at the most may be")
    if row.after_order:
        found.append(f"{row.after_order} reminders were taken later than {AFTER_ORDER:g} s after order() had returned")
    if row.early:
        found.append(f"{row.early} were taken before they were due")
    if row.dead > promise.dead:
        found.append(f"{row.dead} are dead, where {promise.dead} at the most may be")
    if row.skipped and not promise.skipped:
        found.append(f"{row.skipped} were skipped, where none may be")
    if promise.recover_within is not None and (row.recovered or 0) > promise.recover_within:
        found.append(f"it took {row.recovered:.1f} s to recover, where {promise.recover_within:g} s may be")
    return found


def _strangers(evidence: Evidence) -> list[str]:
    unknown = {mail.key.checkout for mail in evidence.accepted} - set(evidence.ledger.entries)
    return [f"{len(unknown)} checkouts were written to that nobody had reported"] if unknown else []
