"""The brake on suppressions: when many customers seem to be dead at once, it is us, and nobody is given up.

A quota or a blocklist in words that nobody foresaw looks like a dead address, for every customer of a burst. To
suppress them could not be made good. So a dead address is believed after a moment in which nothing speaks against it.
"""

import re
from collections import deque
from dataclasses import dataclass

IN_A_ROW = 5
"""Dead addresses with the same words, and no message taken in between, that are too many."""

OF_ANSWERS = 200
LEAST = 20
PART = 0.1
"""So many dead of the last answers, and at least so large a part of them, are too many as well."""

BELIEVED_AFTER = 2.0
"""Seconds that a dead address waits for others to speak against it."""

REMEMBERED_FOR = 86_400.0
"""Seconds that a row of dead addresses may take, and still be one."""

_VARIES = re.compile(r"\S*[\d…@]\S*|<[^>]*>|\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class _Dead:
    id: str
    words: str
    at: float


class Brake:
    """Counts what the relay takes and whom it calls dead. Times are seconds of a monotonic clock.

    `fault` says why nobody is suppressed now, or is None.
    """

    def __init__(self) -> None:
        self._row: list[_Dead] = []
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

    def dead(self, id_: str, reply: str, now: float) -> bool:
        """Take in that the relay calls an address dead; return whether that must not be believed."""
        words = " ".join(_VARIES.sub("", reply).lower().split())
        self._row = [each for each in self._row if each.words == words and now - each.at <= REMEMBERED_FOR]
        if all(each.id != id_ for each in self._row):
            self._row.append(_Dead(id_, words, now))
        if id_ not in self._dead:
            self._count(id_, dead=True)
        if len(self._row) >= IN_A_ROW:
            self.fault = f"{len(self._row)} addresses in a row were called dead in the same words: {reply}"
        elif self._too_many():
            self.fault = f"{len(self._dead)} of the last {len(self._answers)} addresses were called dead, last: {reply}"
        return self.fault is not None

    @property
    def row(self) -> frozenset[str]:
        """The checkouts whose addresses were called dead since a message was taken, in the same words."""
        return frozenset(each.id for each in self._row)

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
