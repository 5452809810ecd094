"""The governor: a receiver that defers or blocks us, or of whose mails too many fail, is slowed down, and no other.

All times are seconds of a monotonic clock, but for those of `Slowed`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf

from recovery.domain.masking import masked
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.receivers import OTHERS, Receivers
from recovery.domain.reputation import Cap
from recovery.engine.pace import Pace

RECOVERS_IN = 60.0
"""Seconds from a decrease until a receiver's rate is again that at which it throttled: they count by the minute."""

IN_A_ROW = 3
"""Refusals in a row that say nothing of a rate, after which they are taken for the receiver's word on all our mail."""

BOOKED_AHEAD = 240.0
"""Seconds for which turns are given out. The rate may have recovered by then, and later ones would be too late."""

MOST_TURNS = 20_000
"""Turns that are remembered for one receiver."""

MOST_RECEIVERS = 1000
"""Receivers that are remembered; after that, those that are not slowed are forgotten."""

MOST_SLOWED = 100
"""Receivers that are slowed at a time: if it is so many, the fault is hardly theirs."""

MOST_COUNTED = 200
"""Receivers that are neither providers nor groups and have counts of their own; the rest are counted together."""

COUNTED_FROM = 20
"""Messages that such a receiver must have taken before it has counts of its own."""

EARLY = 0.25
"""Seconds by which a message may come before its turn: alarms ring by another clock."""

REPLY_KEPT = 200
"""Characters of a reply that are kept as the reason."""

_OF_POLICY = re.compile(r"(?<![\d.])[45]\.7\.\d{1,3}(?![\d.]*\d)|\[TSS?\d\d\]|\b(?:RP|SC|DY|OU)-00\d\b")
"""Codes of RFC 3463 on security and policy, under which receivers limit and block; Yahoo and Microsoft have others."""


class Count(StrEnum):
    """What was said about the messages to a receiver: by the relay's replies, then by reports of bounces."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    """Refused for now."""
    BLOCKED = "blocked"
    """Refused for our sake."""
    UNKNOWN = "unknown"
    """Refused because the recipient does not exist."""
    REFUSED = "refused"
    """Refused for good for another reason."""
    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"
    BLOCKED_LATER = "blocked_later"


@dataclass(frozen=True, slots=True)
class Slowed:
    """A receiver that is slowed: since when, to how many messages a second of all daemons together, and why.

    The reason is a `reply` of the receiver or, if it is `capped`, what became of the messages of a day. It last
    throttled us at `limit` messages a second, at the time `limited_at`, if it did: so all daemons know its rate.
    """

    receiver: str
    rate: float
    since: datetime
    reply: str
    limit: float | None = None
    limited_at: datetime | None = None
    capped: bool = False


@dataclass(slots=True)
class _Receiver:
    """One receiver: its pace and its cap, and the turns of the messages that wait for it."""

    pace: Pace = field(default_factory=lambda: Pace(recovers_in=RECOVERS_IN, alone=True))
    accepted: int = 0
    passed_at: float | None = None
    in_a_row: int = 0
    next_turn: float = 0.0
    next_urgent: float = 0.0
    turns: dict[str, float] = field(default_factory=dict)
    since: datetime | None = None
    reply: str = ""
    limited_at: datetime | None = None
    cap: Cap | None = None

    def rate(self, now: float) -> float | None:
        """Return the messages a second that it may get of all daemons together, None for any number."""
        paced = self.pace.rate(now)
        if self.cap is None:
            return paced
        return self.cap.rate if paced is None else min(paced, self.cap.rate)

    def slowed(self, name: str, rate: float, since: datetime) -> Slowed:
        """Return it as one that is slowed to this rate."""
        reply = self.cap.why if self.cap is not None and rate == self.cap.rate else self.reply
        return Slowed(name, rate, since, reply, self.pace.limit, self.limited_at, self.cap is not None)


class Governor:
    """Counts what a relay says about messages to each receiver, and slows those that throttle or block us.

    Rates are those of all daemons together; this one may use its `part` of them. What another daemon has heard since
    comes by `hear`, and what all have counted by `cap`.

    Each message to a slowed receiver gets a turn of its own, by virtual scheduling (GCRA): it is put off to its turn
    once, and does not stand in the way of others meanwhile. A reply is the receiver's only if it is in its words, about
    a message to it, and the relay is not that receiver's own: what is in doubt is the relay's word.
    """

    def __init__(self, receivers: Receivers | None = None, relay: str = "") -> None:
        """Take `relay`, the relay's host, for a receiver's own if its name is in that receiver's words."""
        self._receivers = receivers or Receivers()
        self._relay = relay
        self._known: dict[str, _Receiver] = {}
        self._slow: dict[str, _Receiver] = {}
        self._counts: Counter[tuple[str, Count]] = Counter()
        self._counted: set[str] = set()
        self.part = 1.0

    @property
    def slows(self) -> bool:
        """Whether any receiver is slowed, so that messages must ask for their turn."""
        return bool(self._slow)

    def is_slowed(self, receiver: str) -> bool:
        """Return whether messages to a receiver must ask for their turn."""
        return receiver in self._slow

    def of(self, address: str) -> str:
        """Return the receiver of an address."""
        return self._receivers.of(address)

    def wait(self, id_: str, receiver: str, now: float, jitter: float, *, urgent: bool = False) -> float:
        """Return the seconds that the message of the checkout `id_` has to wait for its turn; 0 if it is its turn.

        Turns are given out `BOOKED_AHEAD` at most; who comes later asks again, at a time between half of that and the
        whole, by `jitter` in [0, 1). `urgent` messages have turns of their own, before which the others step back.
        """
        known = self._slow.get(receiver)
        rate = known.rate(now) if known is not None else None
        if known is None or rate is None:
            return 0.0
        rate *= self.part
        turn = known.turns.get(id_)
        if turn is None:
            turn = max(known.next_urgent if urgent else known.next_turn, now)
            if turn > now + BOOKED_AHEAD or not self._has_place(known, now):
                return BOOKED_AHEAD * (1 + jitter) / 2
            known.turns[id_] = turn
            known.next_turn = max(known.next_turn, now) + 1 / rate
            if urgent:
                known.next_urgent = turn + 1 / rate
        return turn - now if turn > now + EARLY else 0.0

    def tell(self, id_: str, receiver: str, outcome: Outcome, now: float, at: datetime) -> Count | None:
        """Count the outcome of an attempt at the message of the checkout `id_`, at the time `at`.

        Return what the receiver says of us, DEFERRED or BLOCKED, if the reply is its word; None if it is the relay's,
        or may be about this message alone.
        """
        if not outcome.kind.tells_of_relay:
            return None  # it was not handed over, and keeps its turn
        known = self._remembered(receiver)
        known.turns.pop(id_, None)
        if outcome.kind is OutcomeKind.SENT:
            known.accepted += 1
            known.passed_at, known.in_a_row = now, 0
            known.pace.tell(1 / self.part, 0, now)
            self._count(receiver, known, Count.ACCEPTED)
            return None
        word = self._word(receiver, outcome)
        if (count := word or _COUNTS.get(outcome.kind)) is not None:
            self._count(receiver, known, count)
        if word is not None:
            known.in_a_row += 1
            if _is_of_rate(outcome) or known.in_a_row >= IN_A_ROW:
                self._slow_down(receiver, known, outcome, now, at)
        return None if outcome.kind is OutcomeKind.LATER and known.pace.limit is None else word

    def passed_at(self, receiver: str) -> float | None:
        """Return the time at which a receiver last took a message."""
        known = self._known.get(receiver)
        return None if known is None else known.passed_at

    def slowed(self, now: float) -> list[Slowed]:
        """Return the receivers that are slowed now."""
        found = []
        for name, known in list(self._slow.items()):
            rate = known.rate(now)
            if rate is None:
                self._free(name, known)
            elif known.since is not None:
                found.append(known.slowed(name, rate, known.since))
        return found

    def hear(self, slowed: Iterable[Slowed], now: float, at: datetime) -> None:
        """Go on with what other daemons, or this one before its start, heard of these receivers last."""
        for each in slowed:
            known = self._remembered(each.receiver)
            if each.limit is not None and each.limited_at is not None and self._is_news(known, each.limited_at):
                self._adopt(each, each.limit, each.limited_at, known, now, at)
            if known.since is not None:
                known.since = min(known.since, each.since)

    def cap(self, receiver: str, cap: Cap | None, now: float, at: datetime) -> None:
        """Cap the messages to a receiver, or do so no more."""
        known = self._remembered(receiver)
        before = known.rate(now)
        if cap is not None and before is None and len(self._slow) >= MOST_SLOWED:
            return
        known.cap = cap
        if cap is not None:
            self._slower(receiver, known, before, now, at)

    def reported(self, receiver: str, count: Count) -> None:
        """Count a report about a message that was accepted before."""
        self._count(receiver, self._remembered(receiver), count)

    def counts(self) -> Mapping[tuple[str, Count], int]:
        """Return the counts since the last call, by receiver."""
        counts, self._counts = self._counts, Counter()
        return counts

    def count_again(self, counts: Mapping[tuple[str, Count], int]) -> None:
        """Take back counts that could not be stored."""
        self._counts.update(counts)

    def _word(self, receiver: str, outcome: Outcome) -> Count | None:
        """Return the receiver's word on us in a reply, or None if the reply is not its word."""
        count = _WORDS.get(outcome.kind)
        if count is None or not outcome.to_recipient:
            return None
        if outcome.kind is OutcomeKind.DROPPED and not outcome.reply.startswith("421"):
            return None
        if outcome.kind is not OutcomeKind.THROTTLED and not _OF_POLICY.search(outcome.reply):
            return None
        theirs = self._receivers.are_words_of(receiver, outcome.reply)
        return count if theirs and not self._receivers.are_words_of(receiver, self._relay) else None

    def _slow_down(self, receiver: str, known: _Receiver, outcome: Outcome, now: float, at: datetime) -> None:
        pace, before = known.pace, known.rate(now)
        if before is None and len(self._slow) >= MOST_SLOWED:
            return
        limit, decreased_at, paced = pace.limit, pace.decreased_at, pace.rate(now)
        pace.tell(0, 1, now)
        rate = pace.rate(now)
        if rate is None or (paced is not None and rate >= paced):  # what still reflects the old rate changes nothing
            pace.adopt(limit, decreased_at)
            return
        known.limited_at = at
        known.reply = masked(outcome.reply)[:REPLY_KEPT]
        self._slower(receiver, known, before, now, at)

    @staticmethod
    def _is_news(known: _Receiver, limited_at: datetime) -> bool:
        return known.limited_at is None or limited_at > known.limited_at

    def _adopt(
        self, heard: Slowed, limit: float, limited_at: datetime, known: _Receiver, now: float, at: datetime
    ) -> None:
        """Slow a receiver as the daemon does that it throttled last."""
        before = known.rate(now)
        known.limited_at = limited_at
        if not 0 < limit < inf or (before is None and len(self._slow) >= MOST_SLOWED):
            return
        known.pace.adopt(limit, now - max(at - limited_at, timedelta()).total_seconds())
        if known.pace.rate(now) is not None:
            known.reply = heard.reply
            self._slower(heard.receiver, known, before, now, at)

    def _slower(self, receiver: str, known: _Receiver, before: float | None, now: float, at: datetime) -> None:
        """Take note of a receiver that had the rate `before`. If it is lower now, turns are given out again."""
        rate = known.rate(now)
        if rate is None:
            return
        known.since = known.since or at
        self._slow[receiver] = known
        if before is None or rate < before:
            known.turns.clear()  # given out for a higher rate: each message asks again at its turn
            known.next_turn = known.next_urgent = now + 1 / (rate * self.part)

    def _free(self, receiver: str, known: _Receiver) -> None:
        del self._slow[receiver]
        known.since = None
        known.turns.clear()

    def _remembered(self, receiver: str) -> _Receiver:
        known = self._known.get(receiver)
        if known is None:
            if len(self._known) >= MOST_RECEIVERS:
                self._known = dict(self._slow)
            known = self._known[receiver] = _Receiver()
        return known

    def _count(self, receiver: str, known: _Receiver, count: Count) -> None:
        self._counts[self._name(receiver, known), count] += 1

    def _name(self, receiver: str, known: _Receiver) -> str:
        """Return the name under which a receiver is counted."""
        if self._receivers.is_named(receiver) or receiver in self._counted:
            return receiver
        if (known.since is None and known.accepted < COUNTED_FROM) or len(self._counted) >= MOST_COUNTED:
            return OTHERS
        self._counted.add(receiver)
        return receiver

    @staticmethod
    def _has_place(known: _Receiver, now: float) -> bool:
        """Return whether another turn can be remembered. Turns that nobody took are forgotten when there is need."""
        if len(known.turns) >= MOST_TURNS:
            known.turns = {id_: turn for id_, turn in known.turns.items() if turn > now - BOOKED_AHEAD}
        return len(known.turns) < MOST_TURNS


def _is_of_rate(outcome: Outcome) -> bool:
    """Return whether a receiver says in its words that this is too much, or too much for now."""
    return outcome.kind in (OutcomeKind.THROTTLED, OutcomeKind.DROPPED)


_WORDS = {
    OutcomeKind.THROTTLED: Count.DEFERRED,
    OutcomeKind.LATER: Count.DEFERRED,
    OutcomeKind.DROPPED: Count.DEFERRED,
    OutcomeKind.OUR_FAULT: Count.BLOCKED,
}
"""What a receiver says of us by a reply of this kind, if it is its word."""

_COUNTS = {
    OutcomeKind.LATER: Count.DEFERRED,
    OutcomeKind.DEAD_ADDRESS: Count.UNKNOWN,
    OutcomeKind.DEAD_MESSAGE: Count.REFUSED,
}
"""What is counted for a message that the relay answers in words of its own."""
