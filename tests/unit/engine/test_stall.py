"""The stall: messages are claimed, and none can be handed over."""

from types import SimpleNamespace

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.engine.flight import Ended
from recovery.engine.stall import STALLED_AFTER, Stall


def ended(kind, reply="no connection", *, starved=False):
    return Ended(SimpleNamespace(starved=starved), Outcome(kind, reply))


def test_only_what_lasts_is_a_fault():
    """It is one after ten seconds in which every message went back unsent; one that is handed over ends it."""
    stall = Stall()
    for second in range(10):
        stall.tell([ended(OutcomeKind.UNSENT)], float(second))
        assert stall.fault(float(second)) is None
    stall.tell([ended(OutcomeKind.UNSENT, "all 20 are in use")], STALLED_AFTER)
    assert stall.fault(STALLED_AFTER) == "nothing could be handed over for 10 s: all 20 are in use"
    stall.tell([ended(OutcomeKind.UNSENT), ended(OutcomeKind.LATER)], 11.0)
    assert stall.fault(11.0) is None


def test_it_is_over_when_nothing_is_claimed_any_more():
    """Nothing went back for ten seconds: there is nothing to hand over, and the next stall begins anew."""
    stall = Stall()
    for second in (0.0, 6.0, 12.0):
        stall.tell([ended(OutcomeKind.UNSENT)], second)
    assert stall.fault(12.0) is not None
    assert stall.fault(12.0 + STALLED_AFTER + 1) is None
    stall.tell([ended(OutcomeKind.UNSENT)], 30.0)
    assert stall.fault(30.0) is None


def test_what_the_database_was_too_slow_for_counts_too():
    """A message that is called off counts if the database did not answer in time, and not for another reason."""
    starved, stopped = Stall(), Stall()
    for second in (0.0, 6.0, 12.0):
        starved.tell([ended(OutcomeKind.CALLED_OFF, "the database takes 0.8 s", starved=True)], second)
        stopped.tell([ended(OutcomeKind.CALLED_OFF, "the daemon is stopping")], second)
    assert starved.fault(12.0) == "nothing could be handed over for 12 s: the database takes 0.8 s"
    assert stopped.fault(12.0) is None
