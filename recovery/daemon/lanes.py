"""The lanes: one for each relay, so that the shops of one that is down or slow keep nobody else waiting."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery.daemon.sweep import Sweep
from recovery.engine import Engine
from recovery.per_shop import PerShop


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """An engine that sends by one relay, and the sweep that looks after its checkouts."""

    relay: str
    engine: Engine
    sweep: Sweep


class Lanes:
    """All lanes, and which one a checkout is in: that of its shop."""

    def __init__(self, of_shops: PerShop[Lane]) -> None:
        self._of_shops = of_shops
        self.all = of_shops.each()

    def parted(self, ids: Sequence[str]) -> dict[Lane, list[str]]:
        """Return these checkouts by the lane that they are in."""
        if len(self.all) == 1:
            return {self.all[0]: list(ids)} if ids else {}
        found: dict[Lane, list[str]] = {}
        for id_ in ids:
            found.setdefault(self._of_shops.of(id_), []).append(id_)
        return found

    async def after_loss(self) -> None:
        """Make good what may be missing after history was lost, in each lane."""
        for lane in self.all:
            await lane.sweep.after_loss()

    def behind(self) -> None:
        """Have all that is due looked at, in each lane."""
        for lane in self.all:
            lane.engine.behind.set()

    @property
    def in_flight(self) -> int:
        """How many messages are claimed and not yet recorded."""
        return sum(lane.engine.sender.in_flight for lane in self.all)

    @property
    def relay_fault(self) -> str | None:
        """What is wrong with the relays, or None."""
        faults = {lane.relay: lane.engine.sender.breaker.fault for lane in self.all if lane.engine.sender.breaker.fault}
        if len(self.all) == 1:
            return next(iter(faults.values()), None)
        return "; ".join(f"{relay}: {fault}" for relay, fault in faults.items()) or None

    @property
    def sweep_fault(self) -> str | None:
        """What is wrong with the streams or the shadows, as far as the last sweeps could tell."""
        return "; ".join(dict.fromkeys(lane.sweep.fault for lane in self.all if lane.sweep.fault)) or None
