"""The brake: when many messages seem to be dead at once, it is us, and neither they nor their customers are given up.

A quota or a blocklist in words that nobody foresaw looks like a dead address or a message that nobody wants, for every
customer of a burst. So a refusal for good is believed after a moment in which nothing speaks against it.
"""

import re
from collections import deque
from dataclasses import dataclass

IN_A_ROW = 5
"""Refusals for good in the same words, and no message taken in between, that are too many."""

OF_ANSWERS = 200
LEAST = 20
PART = 0.1
"""So many dead addresses of the last answers, and at least so large a part of them, are too many as well."""

BELIEVED_AFTER = 2.0
"""Seconds that a refusal for good waits for others to speak against it."""

REMEMBERED_FOR = 86_400.0
"""Seconds that a row of refusals may take, and still be one."""

_VARIES = re.compile(r"\S*[\d…@]\S*|<[^>]*>|\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class _Refused:
    id: str
    words: str
    at: float


class Row:
    """Refusals in the same words, one after the other: of different ids, and within a day."""

    def __init__(self) -> None:
        self._refused: list[_Refused] = []

    def add(self, id_: str, reply: str, now: float) -> bool:
        """Take in a refusal; return whether there are too many by now. Numbers and addresses are no words."""
        words = alike(reply)
        self._refused = [each for each in self._refused if each.words == words and now - each.at <= REMEMBERED_FOR]
        if all(each.id != id_ for each in self._refused):
            self._refused.append(_Refused(id_, words, now))
        return len(self) >= IN_A_ROW

    def clear(self) -> None:
        """Begin anew."""
        self._refused.clear()

    def ids(self) -> frozenset[str]:
        """Return the ids of the row."""
        return frozenset(each.id for each in self._refused)

    def __len__(self) -> int:
        return len(self._refused)


def alike(reply: str) -> str:
    """Return the words of a refusal without what differs from one message to the next: numbers and addresses."""
    return " ".join(_VARIES.sub("", reply).lower().split())


class Brake:
    """Counts what the relay takes and what it refuses for good. Times are seconds of a monotonic clock.

    `fault` says why nobody is suppressed now, and no message given up, or is None.
    """

    def __init__(self) -> None:
        self._row = Row()
        self._answers: deque[tuple[str, bool]] = deque()
        self._dead: set[str] = set()
        """Those of the answers that are dead."""
        self.fault: str | None = None

    def passed(self, id_: str) -> None:
        """Take in that the relay took a message: whatever it says of others is about them."""
        self._row.clear()
        if id_ in self._dead:  # it was not, after all
            self._dead.remove(id_)
            self._answers.remove((id_, True))
        self._count(id_, dead=False)
        if not self._too_many():
            self.fault = None

    def refused(self, id_: str, reply: str, now: float, *, address: bool) -> bool:
        """Take in that the relay refuses a message for good; return whether that must not be believed.

        `address` is whether it calls the address dead.
        """
        too_many_in_a_row = self._row.add(id_, reply, now)
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
        """The checkouts whose messages were refused since one was taken, in the same words."""
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
