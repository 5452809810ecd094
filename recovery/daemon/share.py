"""Shares: which daemon cares for which checkout, by rendezvous hashing over the daemons that can serve its shop.

Shares only save work. Two daemons that both think a checkout theirs meet at the claim; one that nobody thinks theirs,
or whose daemon does not do its work, is everybody's once it is late.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from recovery.domain.checkout import shop_of

EXPIRER = "expirer"
"""The key whose owner is the expirer."""

ALL_OTHERS = "*"
"""In place of shops: those that are not named otherwise."""


@dataclass(frozen=True, slots=True)
class Ability:
    """What a daemon says that it can do now.

    `sick` are the shops it cannot send for, or `ALL_OTHERS`; `well` are those that it can, though it cannot send for
    all others. `expires` says whether it may hold the office of the expirer.
    """

    sick: frozenset[str] = frozenset()
    well: frozenset[str] = frozenset()
    expires: bool = True

    def serves(self, shop: str) -> bool:
        """Return whether the daemon can send for a shop."""
        return shop in self.well or not (shop in self.sick or ALL_OTHERS in self.sick)


ABLE = Ability()
"""What an older daemon, which says nothing of it, is taken for."""


def owner(key: str, daemons: Collection[str]) -> str:
    """Return the daemon that `key` falls to. A daemon that joins or goes moves only the keys it gains or had."""
    return max(daemons, key=lambda daemon: blake2b(f"{daemon}\0{key}".encode(), digest_size=8).digest())


class Share:
    """This daemon's share of the checkouts. Alone, it is all of them, whether it can serve them or not."""

    def __init__(self, daemon: str) -> None:
        self.daemon = daemon
        self._daemons: Mapping[str, Ability] = {daemon: ABLE}
        self._serving: dict[str, frozenset[str]] = {}

    @property
    def daemons(self) -> frozenset[str]:
        """The daemons that are alive, this one among them."""
        return frozenset(self._daemons)

    def mine(self, id_: str) -> bool:
        """Return whether this daemon cares for a checkout."""
        return len(self._daemons) == 1 or owner(id_, self._servants(shop_of(id_))) == self.daemon

    @property
    def expires(self) -> bool:
        """Whether this daemon is the expirer: one of those that may be."""
        able = [daemon for daemon, ability in self._daemons.items() if ability.expires]
        return bool(able) and owner(EXPIRER, able) == self.daemon

    def among(self, daemons: Mapping[str, Ability], own: Ability = ABLE) -> bool:
        """Share with these daemons (and this one) from now on; return whether that is a change."""
        before = self._daemons
        self._daemons = {**daemons, self.daemon: own}
        self._serving.clear()
        return self._daemons != before

    def _servants(self, shop: str) -> frozenset[str]:
        """Return the daemons that can serve a shop; where none can, all."""
        if shop not in self._serving:
            serving = frozenset(daemon for daemon, ability in self._daemons.items() if ability.serves(shop))
            self._serving[shop] = serving or self.daemons
        return self._serving[shop]
