"""The pauses of sending that this daemon knows of: messages that they cover stay due in the database."""

from collections.abc import Callable, Iterable

from recovery.domain.checkout import shop_of
from recovery.domain.pauses import EVERYTHING


class KnownPauses:
    """The pauses of a daemon: those that it heard of with its last heartbeat, and those that a claim has found since.

    They only spare vain claims: each claim asks the database itself. `begun` and `ended` are called with the name of
    each pause, a shop or `EVERYTHING`, when it becomes known and when it is over.
    """

    def __init__(
        self,
        *,
        begun: Callable[[str], None] = lambda _: None,
        ended: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._names: frozenset[str] = frozenset()
        self._begun = begun
        self._ended = ended

    def hear(self, names: Iterable[str]) -> None:
        """Take these pauses, as they are stored, for all that there are."""
        before, self._names = self._names, frozenset(names)
        for name in sorted(self._names - before):
            self._begun(name)
        for name in sorted(before - self._names):
            self._ended(name)

    def found(self, name: str) -> None:
        """Note a pause that a claim has found."""
        if name not in self._names:
            self.hear({*self._names, name})

    def cover(self, checkout: str) -> bool:
        """Return whether the messages of the checkout with this id are paused."""
        return bool(self._names) and (self.everything or shop_of(checkout) in self._names)

    @property
    def everything(self) -> bool:
        """Whether all sending is paused."""
        return EVERYTHING in self._names

    @property
    def shops(self) -> frozenset[str]:
        """The shops that are paused by themselves."""
        return self._names - {EVERYTHING}

    @property
    def in_words(self) -> str | None:
        """What is paused, without the names of shops; None if nothing is."""
        if self.everything:
            return "all sending"
        if not self._names:
            return None
        return f"sending for {len(self._names)} shop{'s' if len(self._names) > 1 else ''}"

    @property
    def count(self) -> int:
        """The number of pauses."""
        return len(self._names)
