"""`recovery pause`, `resume` and `pauses` on a real MongoDB."""

import json

import pytest

from recovery import SyncRecovery
from recovery.cli import terminal
from tests.support.builders import report


@pytest.fixture
def shop(at, mongodb, database_name, monkeypatch):
    """A shop with one checkout."""
    monkeypatch.setattr(terminal.out, "width", 300)
    with SyncRecovery(mongodb, database=database_name) as recovery:
        recovery.checkout(report())


def test_all_sending_is_paused_and_resumed(call, at, shop):
    """Both say what is paused afterwards."""
    assert call("pauses", **at) == (0, "Nothing is paused.\n", "")
    code, out, _ = call("pause", "--reason", "wrong prices")
    assert code == 0
    assert "all sending" in out
    assert "wrong prices" in out
    assert "command line" in out
    assert call("pauses")[1] == out
    assert call("resume")[1] == "Nothing is paused.\n"
    assert call("resume")[1] == "All sending was not paused.\nNothing is paused.\n"


def test_a_shop_is_paused_by_itself(call, at, shop):
    """All sending goes on, and programs get a list."""
    code, out, _ = call("pause", "--shop", "shop.example", "--json", **at)
    (pause,) = json.loads(out)
    assert (code, pause["shop"], pause["reason"]) == (0, "shop.example", "")
    assert pause["at"].endswith("Z")
    assert call("resume")[1].startswith("All sending was not paused.\n")
    assert [each["shop"] for each in json.loads(call("pauses", "--json")[1])] == ["shop.example"]
    assert json.loads(call("resume", "--shop", "shop.example", "--json")[1]) == []


def test_a_shop_that_is_not_known_is_not_paused(call, at, shop):
    """Its name is misspelt, and whoever typed it would believe that nothing is sent."""
    code, out, complaint = call("pause", "--shop", "shpo.example", **at)
    assert (code, out) == (1, "")
    assert "There is no shop 'shpo.example'" in complaint
    assert call("resume", "--shop", "a/b")[2] == "recovery: Cannot resume: 'a/b' is not the name of a shop."


def test_show_and_check_say_what_is_paused(call, at, shop):
    """Whoever asks why no mail came finds it where they look."""
    call("init", **at)
    call("pause", "--shop", "shop.example", "--reason", "wrong prices")
    out = call("show", "shop.example/1")[1]
    assert "sending for this shop is paused since 20" in out
    assert ": wrong prices" in out
    (pause,) = json.loads(call("show", "shop.example/1", "--json")[1])["sending_paused"]
    assert pause["reason"] == "wrong prices"
    out = call("check")[1]
    assert "! sending" in out
    assert "recovery resume --shop shop.example ends that." in out
