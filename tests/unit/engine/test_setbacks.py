"""Setbacks: when a message on which the relay hangs up is itself at fault."""

from recovery.engine.setbacks import FREE_SETBACKS, REMEMBERED, Setbacks


def test_a_relay_that_drops_everybody_is_at_fault_itself():
    """While it takes no message, the pauses double up to a minute, for as long as it lasts."""
    drops = Setbacks()
    pauses = [drops.add("a", float(now), passed_at=None) for now in range(2_000)]
    assert pauses[:7] == [1, 2, 4, 8, 16, 32, 60]
    assert set(pauses[7:]) == {60}


def test_a_message_that_alone_is_dropped_is_at_fault():
    """The relay took others since the drop before: two drops are free, and the third is the message's."""
    drops = Setbacks()
    pauses = [drops.add("a", float(now), passed_at=now - 0.5) for now in range(FREE_SETBACKS + 1)]
    assert pauses == [1, 2, None]


def test_only_what_the_relay_took_between_two_drops_counts():
    """It was well before the last drop: that says nothing of the moment of this one."""
    drops = Setbacks()
    pauses = [drops.add("a", 10.0 + now, passed_at=5.0) for now in range(FREE_SETBACKS + 1)]
    assert pauses == [1, 2, 4]


def test_a_message_that_ended_otherwise_starts_again():
    """Its drops are not counted together over days."""
    drops = Setbacks()
    for now in range(FREE_SETBACKS):
        drops.add("a", float(now), passed_at=now - 0.5)
    drops.forget("a")
    drops.forget("never dropped")
    assert drops.add("a", 10.0, passed_at=9.5) == 1


def test_no_more_messages_are_remembered_than_a_bound():
    """With one more than the bound all counts start again."""
    drops = Setbacks()
    for number in range(REMEMBERED):
        drops.add(str(number), 0.0, passed_at=None)
    assert drops.add("0", 1.0, passed_at=None) == 2, "one that is remembered needs no room"
    drops.add("one more", 2.0, passed_at=None)
    assert drops.add("0", 3.0, passed_at=None) == 1
