"""Refusals: held for a moment, then believed, or found to be our fault."""

from types import SimpleNamespace

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.engine.brake import IN_A_ROW, Brake
from recovery.engine.flight import Ended, Flight
from recovery.engine.refusals import Refusals
from tests.support.builders import state

HELD_FOR = 2.0


def ended(id_, kind, reply="550 5.1.1 no such user", *, handed_over_at=1.0, heard_at=0.0):
    flight = SimpleNamespace(id=id_, called_off=Flight.called_off, handed_over_at=handed_over_at)
    return Ended(flight, Outcome(kind, reply), heard_at=heard_at)


def dead(number):
    return ended(f"d{number}", OutcomeKind.DEAD_ADDRESS)


def sift(refusals, *ends, now=0.0, stopping=False):
    return [(each.flight.id, each.outcome.kind) for each in refusals.sift(ends, now, stopping=stopping)]


def test_a_refusal_is_believed_after_a_moment_and_everything_else_at_once():
    """What is believed passes when it comes round again."""
    refusals = Refusals(Brake(), held_for=HELD_FOR)
    ends = (ended("a", OutcomeKind.SENT, "250 taken"), dead(1), ended("b", OutcomeKind.LATER, "451 later"))
    assert sift(refusals, *ends) == [("a", OutcomeKind.SENT), ("b", OutcomeKind.LATER)]
    assert refusals.believed(HELD_FOR - 0.1) == []
    (believed,) = refusals.believed(HELD_FOR)
    assert sift(refusals, believed, now=HELD_FOR) == [("d1", OutcomeKind.DEAD_ADDRESS)]
    assert refusals.believed(HELD_FOR) == []


def test_too_many_in_a_row_are_our_fault_together_with_those_that_are_held():
    """Nothing is left to be believed later."""
    refusals = Refusals(Brake(), held_for=HELD_FOR)
    assert sift(refusals, *(dead(number) for number in range(IN_A_ROW - 1))) == []
    found = sift(refusals, dead(IN_A_ROW), now=1.0)
    assert len(found) == IN_A_ROW
    assert {kind for _, kind in found} == {OutcomeKind.OUR_FAULT}
    assert refusals.believed(100.0) == []


def test_what_was_handed_over_before_a_refusal_says_nothing_about_it():
    """With many messages under way, replies to contents come between refusals: only what goes out later counts."""
    refusals = Refusals(Brake(), held_for=HELD_FOR)
    ends = []
    for number in range(IN_A_ROW):
        ends.append(ended(f"d{number}", OutcomeKind.DEAD_ADDRESS, heard_at=2.0 + number))
        ends.append(ended(f"s{number}", OutcomeKind.SENT, "250 taken", handed_over_at=1.0, heard_at=2.5 + number))
    found = sift(refusals, *ends)
    assert sum(kind is OutcomeKind.OUR_FAULT for _, kind in found) == IN_A_ROW
    assert refusals.believed(100.0) == []


def test_what_is_handed_over_later_shows_that_the_refusals_before_it_are_about_themselves():
    refusals = Refusals(Brake(), held_for=HELD_FOR)
    for number in range(2 * IN_A_ROW):
        sift(refusals, ended(f"d{number}", OutcomeKind.DEAD_ADDRESS, heard_at=2.0 + number))
        sift(refusals, ended(f"s{number}", OutcomeKind.SENT, "250 taken", handed_over_at=2.5 + number))
    assert len(refusals.believed(100.0)) == 2 * IN_A_ROW


def test_nothing_is_held_while_the_daemon_stops():
    """There is no moment left to wait for: the message goes back."""
    refusals = Refusals(Brake(), held_for=HELD_FOR)
    assert sift(refusals, dead(1), stopping=True) == [("d1", OutcomeKind.CALLED_OFF)]
    assert refusals.release() == []


def test_what_is_held_can_be_given_back():
    """At a stop, all are released as they were, believed or not."""
    refusals = Refusals(Brake(), held_for=HELD_FOR)
    sift(refusals, dead(1), dead(2))
    assert [each.flight.id for each in refusals.release()] == ["d1", "d2"]
    assert refusals.release() == []


def believed_one_by_one(refusals, count):
    """Let dead addresses be believed and suppressed, a day apart from one another at most."""
    for number in range(count):
        id_ = f"shop.example/{number}"
        sift(refusals, ended(id_, OutcomeKind.DEAD_ADDRESS), now=10.0 * number)
        assert refusals.believed(10.0 * number + HELD_FOR)
        refusals.suppressed([state(str(number))])


def test_suppressions_of_one_row_are_lifted_when_the_row_is_too_long():
    """They were believed before the brake knew better; it is said until they are lifted."""
    refusals = Refusals(Brake(), held_for=HELD_FOR)
    believed_one_by_one(refusals, IN_A_ROW - 1)
    assert refusals.to_lift == []
    sift(refusals, dead("last"), now=100.0)
    assert [each.id for each in refusals.to_lift] == [f"shop.example/{number}" for number in range(IN_A_ROW - 1)]
    refusals.lifted()
    assert refusals.to_lift == []


def test_suppressions_stand_once_the_relay_has_taken_a_message():
    """Then the refusals before it were about their addresses."""
    refusals = Refusals(Brake(), held_for=HELD_FOR)
    believed_one_by_one(refusals, IN_A_ROW - 1)
    sift(refusals, ended("a", OutcomeKind.SENT, "250 taken"), now=50.0)
    sift(refusals, *(dead(number) for number in range(IN_A_ROW)), now=100.0)
    assert refusals.to_lift == []
