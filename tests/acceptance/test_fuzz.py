"""The short form of the fuzzing: nothing that nobody would send is answered by a fault, or holds the daemon up."""

import copy
import random

import pytest

from tests.chaos.daemons import ROOT
from tests.fuzz.__main__ import OF_OURS, _is_fault, play
from tests.fuzz.found import SLOWEST, Found
from tests.fuzz.mutations import of_bytes, of_json
from tests.fuzz.parts import PARTS, WEBHOOK

SEED = 1
SECONDS = 3.0


@pytest.mark.timeout(120)
@pytest.mark.parametrize("part", PARTS)
async def test_nothing_is_found(part, mongodb):
    """Neither a 5xx but 503, nor a traceback, nor an end, nor a long wait."""
    found = (await play(mongodb, SEED, SECONDS, [part]))[part]
    assert found.cases > 0
    assert found.faults == []


def test_what_must_not_be_is_a_fault():
    """An error of the server, and an answer that takes long; not one that says when to come back."""
    found = Found()
    for status, seconds in ((200, 0.1), (503, 0.1), (500, 0.1), (200, SLOWEST + 0.1)):
        found.answered(status, seconds, "x")
    assert found.cases == 4
    assert found.faults == ["500 to x", f"{SLOWEST + 0.1:.1f} s for x"]


@pytest.mark.parametrize("event", OF_OURS)
def test_an_error_that_nobody_foresaw_is_a_fault(event):
    """By the words that the daemon logs it in."""
    assert any(f'"{event}"' in path.read_text() for path in (ROOT / "recovery").rglob("*.py"))
    assert _is_fault({"event": event})
    assert not _is_fault({"event": "bounce"})


def test_mutations_can_be_repeated_and_leave_what_they_are_made_of():
    """The same seed makes the same."""
    before = copy.deepcopy(WEBHOOK)
    made = [[of_json(random.Random(n), WEBHOOK) for n in range(50)] for _ in range(2)]
    assert made[0] == made[1]
    assert before == WEBHOOK
    assert len(set(made[0])) > 40
    assert of_bytes(random.Random(1), b"sound") == of_bytes(random.Random(1), b"sound")
