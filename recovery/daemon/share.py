"""Shares: which daemon cares for which checkout, by rendezvous hashing over the daemons that are alive.

Shares only save work. Two daemons that both think a checkout theirs meet at the claim; one that nobody thinks theirs
meets the sweep.
"""

from collections.abc import Collection
from hashlib import blake2b

EXPIRER = "expirer"
"""The key whose owner is the expirer."""


def owner(key: str, daemons: Collection[str]) -> str:
    """Return the daemon that `key` falls to. A daemon that joins or goes moves only the keys it gains or had."""
    return max(daemons, key=lambda daemon: blake2b(f"{daemon}\0{key}".encode(), digest_size=8).digest())


class Share:
    """This daemon's share of the checkouts. Alone, it is all of them."""

    def __init__(self, daemon: str) -> None:
        self.daemon = daemon
        self.daemons: frozenset[str] = frozenset({daemon})

    def mine(self, key: str) -> bool:
        """Return whether this daemon cares for `key`."""
        return len(self.daemons) == 1 or owner(key, self.daemons) == self.daemon

    def among(self, daemons: Collection[str]) -> bool:
        """Share with these daemons (and this one) from now on; return whether that is a change."""
        changed = self.daemons != (among := frozenset(daemons) | {self.daemon})
        self.daemons = among
        return changed
