"""Lanes: one per SMTP relay (a bulkhead), so that a relay that is down or slow delays only its own shops."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery.daemon.share import ALL_OTHERS, Ability
from recovery.daemon.sweep import Sweep
from recovery.domain.per_shop import PerShop
from recovery.engine.engine import Engine
from recovery.engine.receivers import Count

REPORTED = {
    "hard": Count.HARD,
    "soft": Count.SOFT,
    "complaint": Count.COMPLAINT,
    "blocked": Count.BLOCKED_LATER,
}
"""What is counted for each kind of report."""


@dataclass(frozen=True, slots=True, eq=False)
class Lane:
    """An engine that sends by one relay, and the sweep over its checkouts."""

    relay: str
    engine: Engine
    sweep: Sweep

    @property
    def fault(self) -> str | None:
        """The reason why nothing is sent by this relay, or None."""
        return self.engine.sender.breaker.fault or self.engine.sender.unsent_fault


class Lanes:
    """All lanes. A checkout is in the lane of its shop."""

    def __init__(self, of_shops: PerShop[Lane]) -> None:
        self._of_shops = of_shops
        self.all = of_shops.each()

    def by_lane(self, ids: Sequence[str]) -> dict[Lane, list[str]]:
        """Return these checkouts grouped by lane."""
        if len(self.all) == 1:
            return {self.all[0]: list(ids)} if ids else {}
        found: dict[Lane, list[str]] = {}
        for id_ in ids:
            found.setdefault(self._of_shops.of(id_), []).append(id_)
        return found

    def returned(self, shop: str | None, domain: str, kind: str) -> None:
        """Count a bounce or complaint for its receiver, at the relay of its shop; of no known shop, at the default."""
        if domain:
            lane = self._of_shops.default if shop is None else self._of_shops.of_shop(shop)
            governor = lane.engine.sender.governor
            governor.reported(governor.of(domain), REPORTED[kind])

    def behind(self) -> None:
        """Ask each lane's sweep to look at everything that is due. Does not wait for it."""
        for lane in self.all:
            lane.engine.behind.set()

    def outage(self) -> None:
        """Report to every engine that the database does not answer."""
        for lane in self.all:
            lane.engine.outage()

    def ability(self, *, expires: bool, follows: bool) -> Ability:
        """Return this daemon's current ability. One that does not follow the streams can serve no shop in time."""
        if not follows:
            return Ability(frozenset({ALL_OTHERS}), frozenset(), expires)
        of_shops = {ALL_OTHERS: self._of_shops.default, **self._of_shops.by_shop}
        sick = frozenset(shop for shop, lane in of_shops.items() if lane.fault)
        return Ability(sick, frozenset(self._of_shops.by_shop) - sick if sick else frozenset(), expires)

    @property
    def in_flight(self) -> int:
        """The number of messages claimed and not yet recorded."""
        return sum(lane.engine.sender.in_flight for lane in self.all)

    @property
    def is_behind(self) -> bool:
        """Whether more is due than there is room for."""
        return any(lane.engine.behind.is_set() for lane in self.all)

    @property
    def paced_rate(self) -> float:
        """The lowest rate, in messages a second, that a throttling relay bears; 0 while none throttles."""
        rates = [lane.engine.sender.paced_rate for lane in self.all]
        return min((rate for rate in rates if rate is not None), default=0.0)

    @property
    def warmup_limit(self) -> int:
        """The lowest number of messages in 24 hours that a warm-up allows today; 0 without one."""
        limits = [lane.engine.sender.warmup.limit for lane in self.all if lane.engine.sender.warmup is not None]
        return min((limit for limit in limits if limit is not None), default=0)

    @property
    def warmup_halted(self) -> bool:
        """Whether a warm-up has halted."""
        warmups = [lane.engine.sender.warmup for lane in self.all]
        return any(warmup is not None and warmup.fault is not None for warmup in warmups)

    @property
    def relay_fault(self) -> str | None:
        """The faults of the relays whose circuit breaker is open, or None."""
        return self._faults({lane.relay: lane.engine.sender.breaker.fault for lane in self.all})

    @property
    def unsent_fault(self) -> str | None:
        """The reason why messages are claimed but not handed over, or None."""
        return self._faults({lane.relay: lane.engine.sender.unsent_fault for lane in self.all})

    @property
    def brake_fault(self) -> str | None:
        """The reason why addresses that a relay calls dead are not suppressed, or None."""
        return self._faults({lane.relay: lane.engine.sender.brake.fault for lane in self.all})

    @property
    def sweep_fault(self) -> str | None:
        """The faults of streams or shadows that the last sweeps found, or None."""
        return "; ".join(dict.fromkeys(lane.sweep.fault for lane in self.all if lane.sweep.fault)) or None

    def _faults(self, by_relay: dict[str, str | None]) -> str | None:
        faults = {relay: fault for relay, fault in by_relay.items() if fault}
        if len(self.all) == 1:
            return next(iter(faults.values()), None)
        return "; ".join(f"{relay}: {fault}" for relay, fault in faults.items()) or None
