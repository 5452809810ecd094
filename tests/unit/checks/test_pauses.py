"""What `recovery check` says of pauses."""

from recovery.checks.finding import Severity
from recovery.checks.pauses import paused
from recovery.mongo.pauses import KeptPause
from tests.support.builders import NOON


def test_each_pause_is_a_warning_that_says_how_to_end_it():
    """Since when, by whom and why, as far as that is known; it is no error."""
    found = list(paused([KeptPause(None, NOON, "ada", "wrong prices"), KeptPause("shop.example", None)]))
    assert {each.severity for each in found} == {Severity.WARNING}
    assert [each.text for each in found] == [
        "all sending is paused since 2126-03-05 12:00 UTC by ada (wrong prices): recovery resume ends that.",
        "sending for shop.example is paused: recovery resume --shop shop.example ends that.",
    ]


def test_where_nothing_is_paused_nothing_is_said():
    assert list(paused([])) == []
