"""Commands on a real MongoDB: what strangers wrote is only text, programs get JSON, and nothing is erased unasked."""

import json
import os
import pty
import subprocess
import sys
from datetime import timedelta

import pytest
from pymongo.errors import OperationFailure

from recovery import Consent, Customer, Order, SyncRecovery
from recovery.cli import terminal
from recovery.domain.state import Cause
from recovery.engine.writes import DeadLetter
from recovery.mongo.collections import CHANNELS, DATA_REQUESTS, DEAD_LETTERS
from recovery.mongo.errors import said
from tests.support.builders import NOON, report

HOSTILE = "\x1b]0;OWNED\x07[/x][link=https://evil.example]\u202e"


@pytest.fixture
def shop(at, mongodb, database_name):
    """The ingestion API on this test's database."""
    with SyncRecovery(mongodb, database=database_name) as recovery:
        yield recovery


@pytest.fixture
def wide(monkeypatch):
    """A screen on which no cell of a table is wrapped."""
    monkeypatch.setattr(terminal.out, "width", 300)


@pytest.fixture
def bury(shop, database_name):
    """Keep a checkout of which the first reminder is dead, with its letter."""

    def bury(order_id, error="554 no", **facts):
        shop.checkout(report(order_id, **facts))
        id_ = f"shop.example/{order_id}"
        dead = {"state": "dead", "attempts": 5, "reason": "dead message", "reply": error}
        past = {"at": NOON, "decision": "tried reminder-1", "reason": error}
        change = {"$set": {"messages.reminder-1": dead}, "$push": {"history": past}}
        shop._recovery._checkouts.update_one({"_id": id_}, change)
        letter = DeadLetter(id_, "reminder-1", Cause.DEAD_MESSAGE, error, NOON, 5)
        kept = {"checkout": id_, "step": letter.step, "cause": letter.cause, "at": letter.at, "attempts": 5}
        errors = [{"at": letter.at, "error": error}]
        shop._own[database_name][DEAD_LETTERS].insert_one({"_id": letter.id, "error": error, "errors": errors, **kept})
        return letter.id

    return bury


@pytest.mark.parametrize(
    "arguments",
    [
        ("show", "shop.example/[red]x[/blue]"),
        ("dead", "list"),
        ("dead", "show", "shop.example/[red]x[/blue]#reminder-1"),
    ],
)
def test_what_strangers_wrote_is_printed_as_text(call, at, bury, arguments, wide):
    """Names, order ids and replies neither end a command, nor make links, nor get to the terminal as controls."""
    bury("[red]x[/blue]", HOSTILE, customer=Customer(email="ada@example.com", name=f"Ada {HOSTILE}"))
    code, out, complaint = call(*arguments, **at)
    assert (code, complaint) == (0, "")
    assert "[red]x[/blue]" in out
    assert "\\x1b]0;OWNED\\x07[/x][link=https://evil.example]\\u202e" in out
    assert out.replace("\n", "").isprintable()


def test_a_source_that_strangers_wrote_is_printed_as_text(call, at, tmp_path, wide):
    """A list shows the source of a suppression as it stands."""
    (tmp_path / "list").write_text(
        f"shop,pseudonym,reason,at,source\n,{'0' * 32},shop,2026-03-05T12:00:00Z,{HOSTILE}\n", "utf-8"
    )
    assert call("suppress", "import", "list", **at)[0] == 0
    code, out, _ = call("suppress", "list")
    assert code == 0
    assert "[/x][link=https://evil.example]" in out
    assert out.replace("\n", "").isprintable()


def test_an_error_that_strangers_wrote_is_printed_as_text(call, at):
    """An unknown name is printed without its control characters."""
    assert call("show", f"shop.example/{HOSTILE}", **at)[2].rstrip("\n").isprintable()


def test_an_export_goes_to_the_terminal_as_it_can_be_shown(call, at, shop):
    """The JSON of an export has escapes where a terminal would obey, and says the same."""
    shop.checkout(report())
    shop._recovery._checkouts.update_one({}, {"$set": {"facts.customer.name": f"Ada {HOSTILE}"}})
    _, out, _ = call("export", "--email", "ada@example.com", **at)
    assert out.replace("\n", "").isprintable()
    assert json.loads(out)["checkouts"][0]["facts"]["customer"]["name"] == f"Ada {HOSTILE}"


def test_show_tells_what_is_to_come(call, at, shop):
    """Consent, every message that is still to come, and the order, each in a line."""
    yes = Consent(given=True, basis="soft opt-in", at=NOON - timedelta(days=36525), source="box at the checkout")
    shop.checkout(report(consent=yes))
    out = call("show", "shop.example/1", **at)[1]
    assert "consent: given 2026-03-04" in out
    assert "soft opt-in (box at the checkout)" in out
    assert [line.split(",")[0] for line in out.splitlines() if line.startswith("to come: ")] == [
        "to come: reminder-1",
        "to come: reminder-2",
        "to come: reminder-3",
    ]
    shop.order(Order(shop="shop.example", order_id="1"))
    out = call("show", "shop.example/1")[1]
    assert "shop.example/1  ordered" in out
    assert "  ordered 20" in out
    assert "to come: confirmation" in out
    assert "to come: reminder" not in out


def test_show_tells_that_an_address_is_suppressed(call, at, shop):
    """With the reason, and of each reminder that it will not be sent."""
    shop.checkout(report())
    call("suppress", "add", "ada@example.com", "--reason", "complaint", **at)
    out = call("show", "shop.example/1")[1]
    assert "suppressed: complaint, since 20" in out
    assert "not to come: reminder-1, the address is suppressed: complaint" in out


def test_show_tells_nothing_internal(call, at, bury, wide):
    """Neither names of exceptions nor objects of the program, in messages and in history."""
    bury("1", "RuntimeError: unable to perform operation on <TCPTransport closed=True 0x7f>; the handler is closed")
    out = call("show", "shop.example/1", **at)[1]
    assert "unable to perform operation on …; the handler is closed" in out
    assert "RuntimeError" not in out + call("dead", "list")[1]


def test_show_says_that_the_database_is_away(call):
    """A failed read says nothing about writes, nor about internals of the driver."""
    binary = os.path.join(os.path.dirname(sys.executable), "recovery")  # noqa: PTH118, PTH120 - a symbolic link
    env = {"RECOVERY_MONGODB__URI": "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100", **_path()}
    done = subprocess.run([binary, "show", "a/b"], env=env, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "MongoDB cannot be reached" in done.stderr
    assert "acknowledge" not in done.stderr
    assert "Topology" not in done.stderr
    assert ".." not in done.stderr


def test_what_the_driver_ends_with_a_full_stop_is_not_ended_twice():
    """A sentence of ours goes on after the driver's words."""
    assert said(OperationFailure("Authentication failed.")) == "Authentication failed"


def _path():
    return {name: value for name, value in os.environ.items() if name in ("PATH", "PYTHONPATH")}


def test_check_tells_that_nobody_is_reminded(call, at):
    """No steps are no fault, but worth knowing."""
    call("init", **at)
    _, out, _ = call("check", SCHEDULE__STEPS="[]")
    assert "! reminders" in out
    assert "schedule.steps is empty, so nobody is reminded" in out


def test_an_erasure_is_foretold(call, at, shop):
    """A dry run says what would go, and takes nothing away."""
    shop.checkout(report())
    code, out, _ = call("erase", "--email", "ada@example.com", "--dry-run", **at)
    assert code == 0
    assert "checkouts: 1 would be erased: shop.example/1" in out
    assert "the address would be suppressed" in out
    assert shop.get("shop.example", "1") is not None
    assert call("suppress", "list")[1] == "Nobody is suppressed.\n"


@pytest.mark.parametrize("dry_run", [["--dry-run"], []], ids=["dry run", "asked"])
def test_an_unknown_address_is_reported(call, at, dry_run):
    """A mistyped address is an error and suppresses nobody."""
    _, out, _ = call("erase", "--email", "somebody.else@example.com", *dry_run, **at)
    told = "Nobody is known by somebody.else@example.com at all shops. Only the address would be suppressed.\n"
    assert out == told
    assert call("suppress", "list")[1] == "Nobody is suppressed.\n"


def test_nothing_is_erased_where_nobody_can_be_asked(call, at, shop):
    """Without a terminal and without --yes it is refused, with an exit code of its own."""
    shop.checkout(report())
    code, _, complaint = call("erase", "--email", "ada@example.com", **at)
    assert code == 2
    assert complaint == "recovery: Cannot ask for confirmation without a terminal: add --yes to go on without it.\n"
    assert shop.get("shop.example", "1") is not None


def test_a_script_erases_with_yes(call, at, shop):
    """With --yes nothing is asked, and the erased data is listed."""
    shop.checkout(report())
    code, out, _ = call("erase", "--email", "ada@example.com", "--yes", **at)
    assert code == 0
    assert "checkouts: 1 erased: shop.example/1" in out
    assert shop.get("shop.example", "1") is None
    assert "Nobody was known by ada@example.com" in call("erase", "--email", "ada@example.com", "--yes")[1]


@pytest.mark.parametrize(("answer", "code", "erased"), [(b"n\n", 1, False), (b"y\n", 0, True)])
def test_a_person_at_a_terminal_is_asked(at, shop, answer, code, erased):
    """Who says no keeps it all; who says yes has it erased."""
    shop.checkout(report())
    ours, theirs = pty.openpty()
    env = {**_path(), **{f"RECOVERY_{name}": value for name, value in at.items()}}
    command = [sys.executable, "-m", "recovery", "erase", "--email", "ada@example.com"]
    asked = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env)
    os.write(ours, answer)
    out, _ = asked.communicate(timeout=30)
    os.close(ours)
    os.close(theirs)
    assert b"Erase this, and never write to ada@example.com again at all shops?" in out
    assert asked.returncode == code, out
    assert (shop.get("shop.example", "1") is None) is erased


def test_a_checkout_as_json(call, at, shop):
    """One document with the checkout, as over HTTP, and its upcoming messages."""
    shop.checkout(report())
    call("suppress", "add", "ada@example.com", **at)
    code, out, _ = call("show", "shop.example/1", "--json")
    shown = json.loads(out)
    assert code == 0
    assert (shown["id"], shown["status"], shown["total"]) == ("shop.example/1", "open", "25.00")
    assert shown["customer"] == {"email": "ada@example.com", "name": "Ada"}
    assert shown["suppression"]["reason"] == "shop"
    suppressed = {"step": "reminder-1", "at": None, "why": "the address is suppressed: shop", "waits": False}
    assert shown["ahead"][0] == suppressed
    assert "claim" not in shown


def test_dead_letters_as_json(call, at, bury):
    """A list, with times in ISO 8601; an empty one where there are none."""
    assert json.loads(call("dead", "list", "--json", **at)[1]) == []
    id_ = bury("1")
    (letter,) = json.loads(call("dead", "list", "--json")[1])
    assert letter == {
        "id": id_,
        "checkout": "shop.example/1",
        "step": "reminder-1",
        "cause": "dead message",
        "error": "554 no",
        "at": "2126-03-05T12:00:00Z",
        "attempts": 5,
        "errors": [{"at": "2126-03-05T12:00:00Z", "error": "554 no"}],
        "replayed_at": None,
    }


def test_suppressions_as_json(call, at):
    """A list of the suppressions, where a null shop means all shops."""
    assert json.loads(call("suppress", "list", "--json", **at)[1]) == []
    call("suppress", "add", "ada@example.com", "--shop", "shop.example")
    (kept,) = json.loads(call("suppress", "list", "--json")[1])
    assert set(kept) == {"shop", "pseudonym", "reason", "at", "until", "source"}
    assert (kept["shop"], kept["reason"], kept["source"]) == ("shop.example", "shop", "operator")


def test_requests_as_json(call, at, shop, database_name):
    """A list of the data requests."""
    assert json.loads(call("requests", "--json", **at)[1]) == []
    asked = {"address": "ada@example.com", "orders": ["1"], "asked_at": NOON, "done_at": None, "done_by": None}
    shop._own[database_name][DATA_REQUESTS].insert_one({"_id": "shop.example/42", **asked})
    (request,) = json.loads(call("requests", "--json")[1])
    assert request == {**asked, "id": "shop.example/42", "asked_at": "2126-03-05T12:00:00Z"}


def test_a_sentence_of_another_s_has_one_full_stop(call):
    """An invalid address is reported in its library's words, with one full stop."""
    complaint = call("erase", "--email", "nobody", "--yes")[2]
    assert complaint.endswith("@-sign.")


def test_a_check_as_json(call, at):
    """The verdict and each finding; the exit code is as without."""
    code, out, _ = call("check", "--json", **at)
    checked = json.loads(out)
    assert code == 1
    assert checked["well"] is False
    assert checked["findings"][0]["what"] == "MongoDB is a replica set"
    assert {"what", "fault", "doubt", "note"} == set(checked["findings"][0])


def test_a_replay_foretells_that_an_address_is_suppressed(call, at, bury):
    """The dry run says so beforehand, and the replay says the same."""
    id_ = bury("1")
    call("suppress", "add", "ada@example.com", "--reason", "hard bounce", **at)
    why = "the address is suppressed: hard bounce"
    assert call("dead", "replay", "--all", "--dry-run")[1] == f"{id_}: would not be sent: {why}\n"
    assert call("dead", "replay", "--all")[1] == f"{id_}: will not be sent: {why}\nReplayed 1 of 1.\n"


def test_a_replay_goes_by_the_shop_s_own_schedule(call, at, bury, tmp_path):
    """The forecast uses the schedule of the checkout's shop, not the general one."""
    id_ = bury("1")
    (tmp_path / "config").mkdir()
    (tmp_path / "config/recovery.toml").write_text('[shops."shop.example".schedule]\nrequire_consent = true\n')
    out = call("dead", "replay", "--all", "--dry-run", **at)[1]
    assert out == f"{id_}: would not be sent: no consent is known\n"


@pytest.mark.parametrize("arguments", [("dead", "list", "--cause"), ("suppress", "list", "--reason")])
def test_a_choice_that_is_none_is_told_with_those_there_are(call, arguments, monkeypatch):
    """A wrong cause or reason is refused before anything is connected to."""
    monkeypatch.setenv("COLUMNS", "300")
    code, _, complaint = call(*arguments, "boredom")
    assert code == 2
    assert "'boredom' is not one of: " in complaint


def test_check_shops_tells_when_each_was_last_heard_of(call, at, shop, database_name, wide):
    """Each shop has a line; one whose last report was refused is a warning with the reason, and no error."""
    assert call("init", **at)[0] == 0
    shop.checkout(report("1"))
    channels = shop._own[database_name][CHANNELS]
    accepted, refused = {"times": 1204, "at": NOON}, {"times": 2, "at": NOON + timedelta(minutes=1), "reason": HOSTILE}
    answers = {"accepted": accepted, "refused": refused}
    lamps = {"_id": "lamps.example/shopify", "shop": "lamps.example", "channel": "shopify", "at": NOON}
    channels.insert_one(lamps | {"answers": answers})
    code, out, complaint = call("check", "--shops", **at)
    assert (code, complaint) == (0, "")
    assert "✓ shop.example (nothing over HTTP, as from Python; the newest checkout was opened at" in out
    assert "! lamps.example over shopify\n  1,204 accepted, the last at 2126-03-05 12:00:00 UTC; 2 refused" in out
    assert "\x1b" not in out
    found = json.loads(call("check", "--shops", "--json", **at)[1])
    assert (found["well"], [each["what"] for each in found["findings"]]) == (
        True,
        ["lamps.example over shopify", "shop.example"],
    )
    assert call("check", "--shops", "--mail", **at)[0] == 1
