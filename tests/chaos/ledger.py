"""The ledger: reports that were acknowledged as stored. The other end, what the relay took, is compared with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

CONFIRMATION = "confirmation"


class Key(NamedTuple):
    """One message: the checkout's id and the step's name."""

    checkout: str
    step: str


@dataclass(slots=True)
class Entry:
    """What was acknowledged of one checkout. All times are Unix seconds; a time of None never happened."""

    touched_at: float | None = None
    ordered_at: float | None = None
    stopped_at: float | None = None
    """When `order()` or `cancel()` returned: from a second later on, no reminder may be taken."""


@dataclass(slots=True)
class Ledger:
    """All checkouts that a call returned for. What raised is not in it: it may be kept or not."""

    entries: dict[str, Entry] = field(default_factory=dict)

    def reported(self, checkout: str, touched_at: float) -> None:
        """Take note that `checkout()` has returned."""
        self._entry(checkout).touched_at = touched_at

    def ordered(self, checkout: str, ordered_at: float, returned_at: float) -> None:
        """Take note that `order()` has returned. What was ordered or stopped before was so from the first time on."""
        entry = self._entry(checkout)
        if entry.ordered_at is None:
            entry.ordered_at = ordered_at
        self.cancelled(checkout, returned_at)

    def cancelled(self, checkout: str, returned_at: float) -> None:
        """Take note that `cancel()` has returned."""
        entry = self._entry(checkout)
        if entry.stopped_at is None:
            entry.stopped_at = returned_at

    def due(self, delays: Mapping[str, float], *, confirms: bool) -> dict[Key, float]:
        """Return every message that must end in plain sight, with its due time.

        `delays` are seconds by step. A reminder of a checkout that was stopped may be sent or not, so it is not here.
        """
        found = {}
        for checkout, entry in self.entries.items():
            if entry.stopped_at is None and entry.touched_at is not None:
                found |= {Key(checkout, step): entry.touched_at + delay for step, delay in delays.items()}
            elif entry.ordered_at is not None and confirms:
                found[Key(checkout, CONFIRMATION)] = entry.ordered_at
        return found

    def _entry(self, checkout: str) -> Entry:
        return self.entries.setdefault(checkout, Entry())
