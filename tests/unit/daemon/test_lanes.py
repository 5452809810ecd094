"""Lanes: one for each relay, so that one that fails keeps nobody else waiting."""

import asyncio
from types import SimpleNamespace

from recovery.daemon.lanes import Lane, Lanes
from recovery.daemon.share import ALL_OTHERS
from recovery.domain.per_shop import PerShop
from recovery.engine.receivers import Count, Governor


def lane(
    relay: str, *, fault: str | None = None, in_flight: int = 0, paced_rate: float | None = None, warmup=None
) -> Lane:
    """Return a lane with this fault."""
    sender = SimpleNamespace(
        breaker=SimpleNamespace(fault=fault),
        brake=SimpleNamespace(fault=None),
        unsent_fault=None,
        in_flight=in_flight,
        paced_rate=paced_rate,
        warmup=warmup,
        governor=Governor(),
    )
    engine = SimpleNamespace(sender=sender, behind=asyncio.Event())
    return Lane(relay, engine, SimpleNamespace(fault=None))


def test_checkouts_are_in_the_lane_of_their_shop():
    """In the order they came in; a lane that has none is not named."""
    ours, theirs, idle = lane("ours"), lane("theirs"), lane("idle")
    lanes = Lanes(PerShop(ours, {"b.example": theirs, "c.example": idle}))
    assert lanes.by_lane(["a.example/1", "b.example/2", "a.example/3"]) == {
        ours: ["a.example/1", "a.example/3"],
        theirs: ["b.example/2"],
    }
    assert Lanes(PerShop(ours, {})).by_lane([]) == {}


def test_a_daemon_says_which_shops_it_cannot_serve():
    """Those of a relay that is down: others may serve them. One that hears no stream serves nobody in time."""
    lanes = Lanes(PerShop(lane("ours"), {"b.example": lane("theirs", fault="refused"), "c.example": lane("third")}))
    able = lanes.ability(expires=True, follows=True)
    assert (able.sick, able.well) == ({"b.example"}, {"c.example"})
    assert lanes.ability(expires=True, follows=False).sick == {ALL_OTHERS}


def test_a_fault_is_told_with_its_relay_where_there_are_several():
    """With several relays, a fault names its relay."""
    broken = lane("theirs:25", fault="connection refused", in_flight=3)
    assert (
        Lanes(PerShop(lane("ours", in_flight=4), {"b.example": broken})).relay_fault == "theirs:25: connection refused"
    )
    assert Lanes(PerShop(lane("ours", in_flight=4), {"b.example": broken})).in_flight == 7
    assert Lanes(PerShop(broken, {})).relay_fault == "connection refused"
    assert Lanes(PerShop(lane("ours"), {})).relay_fault is None


def test_behind_is_told_to_every_lane():
    """Each has its own sweep."""
    both = lane("ours"), lane("theirs")
    Lanes(PerShop(both[0], {"b.example": both[1]})).behind()
    assert all(each.engine.behind.is_set() for each in both)


def test_the_slowest_of_the_throttling_relays_is_shown():
    """A relay that does not throttle has no rate."""
    shops = {"b.example": lane("theirs", paced_rate=14.5), "c.example": lane("third", paced_rate=2.5)}
    assert Lanes(PerShop(lane("ours"), shops)).paced_rate == 2.5
    assert Lanes(PerShop(lane("ours"), {})).paced_rate == 0


def test_the_lowest_limit_of_the_warm_ups_is_shown_and_whether_one_has_halted():
    """One that is over has no limit, and most lanes have no warm-up."""
    over = lane("over", warmup=SimpleNamespace(limit=None, fault=None))
    first = lane("first", warmup=SimpleNamespace(limit=75, fault=None))
    second = lane("second", warmup=SimpleNamespace(limit=50, fault=None))
    halted = lane("halted", warmup=SimpleNamespace(limit=0, fault="3 complaints"))
    lanes = Lanes(PerShop(lane("ours"), {"a.example": over}))
    assert (lanes.warmup_limit, lanes.warmup_halted) == (0, False)
    lanes = Lanes(PerShop(lane("ours"), {"a.example": over, "b.example": first, "c.example": second}))
    assert (lanes.warmup_limit, lanes.warmup_halted) == (50, False)
    lanes = Lanes(PerShop(first, {"b.example": halted}))
    assert (lanes.warmup_limit, lanes.warmup_halted) == (0, True)


def test_a_report_counts_for_the_receiver_at_the_relay_of_its_shop():
    """At the default relay if the shop is not known; a report that names no address counts nowhere."""
    ours, theirs = lane("ours"), lane("theirs")
    lanes = Lanes(PerShop(ours, {"b.example": theirs}))
    lanes.returned("b.example", "gmail.com", "complaint")
    lanes.returned(None, "gmail.com", "blocked")
    lanes.returned(None, "", "hard")
    assert theirs.engine.sender.governor.counts() == {("google", Count.COMPLAINT): 1}
    assert ours.engine.sender.governor.counts() == {("google", Count.BLOCKED_LATER): 1}
