"""The documents name what there is: log events."""

import tomllib
from pathlib import Path

from tests.support import log_events

ROOT = Path(__file__).parents[2]
AGAIN = "run: make logs"


def test_every_log_event_has_a_meaning():
    """docs/logs.toml explains each event that the code logs, and no other."""
    explained = set(tomllib.loads((ROOT / "docs/logs.toml").read_text()))
    logged = {event.name for event in log_events.found()}
    assert {"without a meaning": logged - explained, "not logged": explained - logged} == {
        "without a meaning": set(),
        "not logged": set(),
    }


def test_the_page_of_log_events_is_up_to_date():
    """docs/logs.md is what `make logs` writes."""
    assert (ROOT / "docs/logs.md").read_text() == log_events.page(), AGAIN


def test_the_scan_finds_a_chosen_level_too():
    """A logger's method that was put into a variable, as the watcher does, is found at each of its levels."""
    levels = {event.level for event in log_events.found() if event.file == "recovery/daemon/watcher.py"}
    assert levels == {"info", "warning"}
