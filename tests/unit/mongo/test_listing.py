"""Lists of checkouts: which filters an index serves, positions as text, and marks."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.domain.state import Cause, Message, MessageState, Status
from recovery.mongo.collections import BY_ADDRESS, BY_MARK, BY_STATUS
from recovery.mongo.listing import BadFilter, Filters, Position, position
from recovery.mongo.marks import LONGEST_REASON, mark, marks_of

A = ("a.example",)


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({"shops": A}, BY_STATUS),
        ({"shops": A, "status": Status.OPEN}, BY_STATUS),
        ({"shops": A, "step": "confirmation", "state": MessageState.DEAD}, BY_MARK),
        ({"shops": A, "step": "reminder-1", "state": MessageState.SKIPPED, "reason": "r"}, BY_MARK),
        ({"email": "ada@example.com"}, BY_ADDRESS),
        ({"email": "ada@example.com", "step": "x", "state": MessageState.WAITING, "status": Status.OPEN}, BY_ADDRESS),
    ],
)
def test_each_allowed_combination_has_its_index(filters, index):
    """A list is read from one index, which it names."""
    assert Filters(**filters).index == index


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({}, "shop"),
        ({"step": "reminder-1", "state": MessageState.SENT}, "shop"),
        ({"shops": A, "step": "reminder-1"}, "state"),
        ({"shops": A, "state": MessageState.SENT}, "step"),
        ({"shops": A, "reason": "r"}, "step"),
        ({"shops": A, "step": "reminder-1", "state": MessageState.SENDING}, "state"),
        ({"shops": A, "step": "reminder-1", "state": MessageState.SENT, "status": Status.OPEN}, "status"),
    ],
)
def test_other_combinations_say_what_to_add(filters, field):
    """A list without an index is refused, with the filter that is missing or too much."""
    with pytest.raises(BadFilter) as refused:
        Filters(**filters)
    assert refused.value.field == field
    assert refused.value.missing
    assert any(word in str(refused.value) for word in ("needed", "add"))


@pytest.mark.parametrize("step", ["", "$where", "a.b", "Reminder", "a" * 41, "a\n", "7"])
def test_a_step_is_a_name_and_no_path(step):
    """What is no name of a step does not get into a query."""
    with pytest.raises(BadFilter, match="not the name of a step"):
        Filters(A, step=step, state=MessageState.SENT)


@given(st.integers(-(2**63), 2**63 - 1), st.text(st.characters(exclude_categories=["Cs"])))
def test_a_position_comes_back_as_it_was(at, id_):
    """A position survives as text that is safe in a URL."""
    text = str(Position(at, id_))
    assert position(text) == Position(at, id_)
    assert text.replace("-", "").replace("_", "").isalnum()
    assert text.isascii()


@given(st.one_of(st.text(), st.binary().map(lambda raw: raw.decode("latin-1"))))
def test_a_forged_position_is_refused_or_a_position(text):
    """Whatever is sent as a cursor is a position or refused, and nothing else happens."""
    with suppress(BadFilter):
        assert isinstance(position(text), Position)


def test_marks_are_of_settled_messages_alone():
    """What is sent has one mark; what is skipped or dead one more, with its reason."""
    messages = {
        "reminder-1": Message(state="sent"),
        "reminder-2": Message(state="skipped", reason="too late"),
        "reminder-3": Message(state="waiting", reason="postponed"),
        "reminder-4": Message(state="sending"),
        "confirmation": Message(state="dead", reason=Cause.LOST),
    }
    assert marks_of(messages) == [
        "reminder-1 sent",
        "reminder-2 skipped",
        "reminder-2 skipped: too late",
        "confirmation dead",
        "confirmation dead: lost after the dot",
    ]


def test_the_mark_that_is_looked_for_is_the_one_that_was_made():
    """Also of a reason that is too long for a mark, which the query compares as a whole."""
    reason = "r" * 2 * LONGEST_REASON
    filters = Filters(A, step="reminder-1", state=MessageState.SKIPPED, reason=reason)
    query = filters.query()
    assert query["settled"] in marks_of({"reminder-1": Message(state="skipped", reason=reason)})
    assert query["settled"] == mark("reminder-1", MessageState.SKIPPED, reason)
    assert query["messages.reminder-1.reason"] == reason
