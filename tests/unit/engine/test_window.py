"""The congestion window: it grows with accepted messages, and shrinks when messages find no connection in time."""

from recovery.engine.window import FIRST, LEAST, SLOWER, Window

NOW = 1000.0


def test_it_grows_by_what_is_taken_while_it_is_full():
    """Each message taken makes room for one more, up to the most."""
    window = Window(1000)
    window.tell(handed_over=80, unsent=0, in_flight=FIRST, now=NOW)
    assert window.size == FIRST + 80
    for _ in range(20):
        window.tell(handed_over=100, unsent=0, in_flight=window.size, now=NOW)
    assert window.size == 1000


def test_it_does_not_grow_while_it_is_not_needed():
    """A trickle does not show the capacity of the relay."""
    window = Window(1000)
    window.tell(handed_over=5, unsent=0, in_flight=5, now=NOW)
    assert window.size == FIRST


def test_it_halves_once_for_what_was_claimed_together():
    """Messages that find no connection in time halve it, but those of the same moment only once."""
    window = Window(1000)
    for _ in range(3):
        window.tell(handed_over=2, unsent=8, in_flight=FIRST, now=NOW)
    assert window.size == FIRST // 2
    window.tell(handed_over=0, unsent=8, in_flight=FIRST, now=NOW + 1)
    assert window.size == FIRST // 4


def test_it_grows_slowly_above_half_of_what_was_too_much():
    """Up to that it grows as before; what it grows above may be too much again, and costs as much as what is sent."""
    window = Window(1000)
    window.tell(handed_over=FIRST, unsent=0, in_flight=FIRST, now=NOW)
    window.tell(handed_over=0, unsent=1, in_flight=2 * FIRST, now=NOW)
    window.tell(handed_over=0, unsent=1, in_flight=FIRST, now=NOW + 1)
    window.tell(handed_over=FIRST // 2, unsent=0, in_flight=FIRST // 2, now=NOW + 2)
    assert window.size == FIRST // 2 + FIRST // 2 // SLOWER
    for _ in range(SLOWER):
        window.tell(handed_over=FIRST, unsent=0, in_flight=window.size, now=NOW + 2)
    assert window.size == FIRST // 2 + FIRST + FIRST // 2 // SLOWER


def test_a_batch_is_larger_where_the_relay_is_the_limit():
    """Its messages wait for the relay anyway, and fewer batches cost the database less."""
    window = Window(1000)
    assert window.batch == FIRST // 4
    window.tell(handed_over=0, unsent=1, in_flight=FIRST, now=NOW)
    assert (window.size, window.batch) == (FIRST // 2, FIRST // 4)
    assert Window(1).batch == 1


def test_it_never_closes():
    """However slow the relay, a few messages are tried."""
    window = Window(1000)
    for second in range(20):
        window.tell(handed_over=0, unsent=1, in_flight=1, now=NOW + second)
    assert window.size == LEAST


def test_it_keeps_to_the_most():
    """A limit below its first size, or its least, holds."""
    assert Window(7).size == 7
    window = Window(3)
    window.tell(handed_over=0, unsent=1, in_flight=3, now=NOW)
    assert window.size == 3
