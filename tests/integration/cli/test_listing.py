"""`recovery list` on a real MongoDB: for people, for programs, and page by page."""

import json

import pytest

from recovery import Customer, Order, SyncRecovery
from recovery.cli import terminal
from tests.support.builders import report


@pytest.fixture
def shop(at, mongodb, database_name, call, monkeypatch):
    """The ingestion API on this test's database, and a screen on which no cell is wrapped."""
    monkeypatch.setattr(terminal.out, "width", 300)
    assert call("init", **at)[0] == 0
    with SyncRecovery(mongodb, database=database_name) as recovery:
        for number in range(3):
            customer = Customer(email=f"customer{number}@example.com")
            recovery.checkout(report(f"{number}", customer=customer, touched_at=f"2026-03-0{number + 1}T00:00:00Z"))
        recovery.order(Order(shop="shop.example", order_id="1"))
        yield recovery


def ids(out):
    return [each["id"] for each in json.loads(out)["checkouts"]]


def test_checkouts_are_listed_for_people(call, at, shop):
    """A table has the newest first, with status and customer."""
    code, out, complaint = call("list", "--shop", "shop.example", **at)
    assert (code, complaint) == (0, "")
    lines = [line for line in out.splitlines() if "shop.example/" in line]
    assert [line.split()[1] for line in lines] == ["shop.example/2", "shop.example/1", "shop.example/0"]
    assert "ordered" in lines[1]
    assert "customer2@example.com" in lines[0]
    assert "No checkouts match." in call("list", "--shop", "other.example", **at)[1]


def test_what_strangers_wrote_is_printed_as_text(call, at, shop, database_name):
    """An order id and a reason neither make links nor get to the terminal as controls."""
    shop.checkout(report("[red]x[/blue]"))
    dead = {"state": "dead", "attempts": 1, "reason": "\x1b]0;OWNED\x07[link=https://evil.example]\u202e"}
    shop._own[database_name]["checkouts"].update_one(
        {"_id": "shop.example/[red]x[/blue]"}, {"$set": {"messages.reminder-1": dead}}
    )
    code, out, complaint = call("list", "--shop", "shop.example", **at)
    assert (code, complaint) == (0, "")
    assert "[red]x[/blue]" in out
    assert "\\x1b]0;OWNED\\x07[link=https://evil.example]\\u202e" in out
    assert not set("\x1b\x07\u202e") & set(out)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (["--status", "open"], ["2", "0"]),
        (["--since", "2026-03-02T00:00:00Z"], ["2", "1"]),
        (["--until", "2026-03-02T01:00:00+01:00"], ["0"]),
        (["--until", "1h"], ["2", "1", "0"]),
        (["--since", "1h"], []),
        (["--email", "Customer1@example.com"], ["1"]),
        (["--step", "reminder-1", "--state", "sent", "--reason", "x"], []),
    ],
)
def test_filters_select(call, at, shop, filters, expected):
    """Each filter narrows the list."""
    code, out, complaint = call("list", "--shop", "shop.example", "--json", *filters, **at)
    assert (code, complaint) == (0, "")
    assert ids(out) == [f"shop.example/{each}" for each in expected]


def test_programs_get_pages(call, at, shop):
    """The JSON has what `show` has, without history, and the cursor of the next page."""
    found, after = [], []
    while True:
        code, out, _ = call("list", "--shop", "shop.example", "--limit", "2", "--json", *after, **at)
        assert code == 0
        page = json.loads(out)
        found += page["checkouts"]
        assert page["unreadable"] == []
        if page["next"] is None:
            break
        after = ["--after", page["next"]]
    assert [each["id"] for each in found] == ["shop.example/2", "shop.example/1", "shop.example/0"]
    shown = json.loads(call("show", "shop.example/2", "--json", **at)[1])
    assert found[0] == {
        name: shown[name] for name in shown.keys() - {"history", "suppression", "ahead", "sending_paused"}
    }
    assert "--after" in call("list", "--shop", "shop.example", "--limit", "2", **at)[1]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "--shop: is needed, or email"),
        (["--shop", "a", "--state", "sent"], "--step: is needed"),
        (["--shop", "a", "--after", "nope"], "--after: is not what a page ended with"),
        (["--shop", "a", "--since", "yesterday"], "--since yesterday: give a time with its zone"),
        (["--shop", "a", "--since", "2026-03-01"], "--since 2026-03-01: add the zone"),
        (["--email", "nobody"], "--email: invalid e-mail address"),
    ],
)
def test_a_wrong_filter_is_a_sentence(call, at, shop, arguments, complaint):
    """What is missing or wrong is said in one sentence, with the option."""
    code, out, said = call("list", *arguments, **at)
    assert (code, out) == (1, "")
    assert complaint in said


def test_an_unknown_status_is_a_usage_error(call):
    """The choices are named."""
    code, _, complaint = call("list", "--shop", "a", "--status", "opened")
    assert code == 2
    assert "'opened' is not one of: open" in complaint


def test_a_missing_index_is_a_sentence(call, at, shop, database_name):
    """A database that was not prepared for lists says what to run."""
    shop._own[database_name]["checkouts"].drop_index("listed")
    for command in (["list", "--shop", "shop.example"], ["check", "--shops"]):
        code, _, said = call(*command, **at)
        assert code == 1
        assert "the index listed is missing, run `recovery init`" in said
