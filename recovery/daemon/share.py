"""Shares: the daemon that owns a checkout, by rendezvous hashing over the daemons that can serve its shop.

Shares only save work; correctness rests on the claim. Of two daemons that both count a checkout as theirs, one gets the
claim. A checkout that no daemon counts as its own, or whose owner does not do its work, is everybody's once it is late.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from recovery.domain.checkout import shop_of

EXPIRER = "expirer"
"""The key whose owner is the leader: the one daemon that deletes due shadows."""

ALL_OTHERS = "*"
"""Stands for all shops that are not named."""


@dataclass(frozen=True, slots=True)
class Ability:
    """A daemon's current abilities.

    `sick` are the shops it cannot send for, or `ALL_OTHERS`; `well` are the exceptions, for which it can. `expires` is
    whether it may be elected as the expirer.
    """

    sick: frozenset[str] = frozenset()
    well: frozenset[str] = frozenset()
    expires: bool = True

    def serves(self, shop: str) -> bool:
        """Return whether the daemon can send for a shop."""
        return shop in self.well or not (shop in self.sick or ALL_OTHERS in self.sick)


ABLE = Ability()
"""The ability of an older daemon, which announces none."""


def owner(key: str, daemons: Collection[str]) -> str:
    """Return the daemon that owns `key`. When a daemon joins or leaves, only the keys it gains or had move."""
    return max(daemons, key=lambda daemon: blake2b(f"{daemon}\0{key}".encode(), digest_size=8).digest())


class Share:
    """This daemon's share of the checkouts. A daemon that is alone owns all, whether it can serve them or not."""

    def __init__(self, daemon: str) -> None:
        self.daemon = daemon
        self._daemons: Mapping[str, Ability] = {daemon: ABLE}
        self._serving: dict[str, frozenset[str]] = {}

    @property
    def daemons(self) -> frozenset[str]:
        """The daemons that are alive, this one among them."""
        return frozenset(self._daemons)

    def mine(self, id_: str) -> bool:
        """Return whether this daemon owns a checkout."""
        return len(self._daemons) == 1 or owner(id_, self._servants(shop_of(id_))) == self.daemon

    @property
    def expires(self) -> bool:
        """Whether this daemon is the expirer, elected among those that may be."""
        able = [daemon for daemon, ability in self._daemons.items() if ability.expires]
        return bool(able) and owner(EXPIRER, able) == self.daemon

    def leads(self, duty: str) -> bool:
        """Return whether this daemon is the one, of all that are alive, that has this duty."""
        return owner(duty, self._daemons) == self.daemon

    def among(self, daemons: Mapping[str, Ability], own: Ability = ABLE) -> bool:
        """Share with these daemons and this one from now on; return whether anything changed."""
        before = self._daemons
        self._daemons = {**daemons, self.daemon: own}
        self._serving.clear()
        return self._daemons != before

    def _servants(self, shop: str) -> frozenset[str]:
        """Return the daemons that can serve a shop, or all if none can."""
        if shop not in self._serving:
            serving = frozenset(daemon for daemon, ability in self._daemons.items() if ability.serves(shop))
            self._serving[shop] = serving or self.daemons
        return self._serving[shop]
