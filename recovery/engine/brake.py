"""The brake on dead letters: when many permanent refusals come at once, the fault is ours, and none is believed.

A quota or a blocklist, in a wording that is not recognised, looks like a dead address or a bad message for every
customer of a burst. `recovery.engine.refusals` holds each permanent refusal until the brake has heard other answers.
"""

import re
from collections import deque
from dataclasses import dataclass

IN_A_ROW = 5
"""Permanent refusals with the same wording, without a message in between that was accepted, that are too many."""

OF_ANSWERS = 200
LEAST = 20
PART = 0.1
"""Dead addresses among the last answers, in number (`LEAST`) and share (`PART`), that are too many as well."""

REMEMBERED_FOR = 86_400.0
"""The longest duration of a row of refusals, in seconds."""

_VARIES = re.compile(r"\S*[\d…@]\S*|<[^>]*>|\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class _Refused:
    id: str
    words: str
    at: float


class Row:
    """Consecutive refusals with the same wording, of different ids, within a day."""

    def __init__(self) -> None:
        self._refused: list[_Refused] = []

    def add(self, id_: str, reply: str, now: float) -> bool:
        """Add a refusal; return whether the row is too long. Numbers and addresses do not count as wording."""
        words = alike(reply)
        self._refused = [each for each in self._refused if each.words == words and now - each.at <= REMEMBERED_FOR]
        if all(each.id != id_ for each in self._refused):
            self._refused.append(_Refused(id_, words, now))
        return len(self) >= IN_A_ROW

    def drop_before(self, at: float) -> None:
        """Start again with the refusals that were heard since that time."""
        self._refused = [each for each in self._refused if each.at >= at]

    def ids(self) -> frozenset[str]:
        """Return the ids of the row."""
        return frozenset(each.id for each in self._refused)

    def __len__(self) -> int:
        return len(self._refused)


def alike(reply: str) -> str:
    """Return the wording of a refusal without numbers and addresses, which differ from message to message."""
    return " ".join(_VARIES.sub("", reply).lower().split())


class Brake:
    """Counts accepted messages and permanent refusals. Times are seconds of the event loop's clock.

    A message that was handed over before a refusal was heard says nothing about it, though its reply comes later.

    `fault` is the reason why no address is suppressed and no message given up now, or None.
    """

    def __init__(self) -> None:
        self._row = Row()
        self._answers: deque[tuple[str, bool]] = deque()
        self._dead: set[str] = set()
        """The checkouts among the answers whose address was called dead."""
        self.fault: str | None = None

    def passed(self, id_: str, handed_over_at: float | None) -> None:
        """Count an accepted message: the refusals heard before it was handed over are then about themselves."""
        if handed_over_at is not None:
            self._row.drop_before(handed_over_at)
        if id_ in self._dead:  # it was not, after all
            self._dead.remove(id_)
            self._answers.remove((id_, True))
        self._count(id_, dead=False)
        if len(self._row) < IN_A_ROW and not self._too_many():
            self.fault = None

    def refused(self, id_: str, reply: str, heard_at: float, *, address: bool) -> bool:
        """Count a permanent refusal; return whether it must not be believed.

        `address` is whether the relay calls the address dead.
        """
        too_many_in_a_row = self._row.add(id_, reply, heard_at)
        if address and id_ not in self._dead:
            self._count(id_, dead=True)
        if too_many_in_a_row:
            what = "addresses in a row were called dead" if address else "messages in a row were refused"
            self.fault = f"{len(self._row)} {what} in the same words: {reply}"
        elif self._too_many():
            self.fault = f"{len(self._dead)} of the last {len(self._answers)} addresses were called dead, last: {reply}"
        return self.fault is not None

    @property
    def row(self) -> frozenset[str]:
        """The checkouts whose messages were refused with the same wording since one was accepted."""
        return self._row.ids()

    def _count(self, id_: str, *, dead: bool) -> None:
        if len(self._answers) == OF_ANSWERS:
            oldest, was_dead = self._answers.popleft()
            if was_dead:
                self._dead.remove(oldest)
        self._answers.append((id_, dead))
        if dead:
            self._dead.add(id_)

    def _too_many(self) -> bool:
        return len(self._dead) >= max(LEAST, PART * len(self._answers))
