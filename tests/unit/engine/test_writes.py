"""The writes of decisions and outcomes."""

import pytest

from recovery.domain.checkout import Customer, Facts
from recovery.domain.state import Cause, Message, MessageState
from recovery.engine.writes import _letter
from tests.support.builders import NOON, state


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("550 <ada.l@example.com> Ada Lovelace is gone", "550 <…> … is gone"),
        ("550 user ADA.L unknown", "550 user … unknown"),
    ],
)
def test_a_letter_names_nobody_in_a_relay_s_words(said, kept):
    """A reply that an older version stored unmasked goes into a dead letter without address and name."""
    customer = Customer(email="ada.l@example.com", name="Ada Lovelace")
    dead = Message(state=MessageState.DEAD, reason=Cause.ATTEMPTS, attempts=5)
    letter = _letter(state(facts=Facts(customer=customer)), "reminder-1", dead, said, NOON)
    assert letter is not None
    assert (letter.error, letter.address) == (kept, "ada.l@example.com")
