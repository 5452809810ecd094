"""Expected results of replays, in words."""

from datetime import UTC, datetime

import pytest

from recovery.domain.outlook import Ahead
from recovery.mongo.replays import Expected

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
PAUSED = "sending for shop.example is paused"


@pytest.mark.parametrize(
    ("ahead", "alike", "told", "sends"),
    [
        (Ahead("one", NOON), "would send one", "would send one", True),
        (Ahead("one", None, "suppressed"), "would not be sent: suppressed", "would not be sent: suppressed", False),
        (
            Ahead("one", NOON, "quiet hours"),
            "would wait: quiet hours",
            "would wait until 2026-03-05 12:00:00 UTC: quiet hours",
            False,
        ),
        (Ahead("one", None, PAUSED, waits=True), f"would wait: {PAUSED}", f"would wait: {PAUSED}", False),
    ],
)
def test_a_replay_is_told_in_words(ahead, alike, told, sends):
    """Those of which the same becomes in the same words, and each alone with its time, if that is known."""
    expected = Expected(ahead)
    assert (expected.alike("would"), expected.told("would"), expected.sends) == (alike, told, sends)
