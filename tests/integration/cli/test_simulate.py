"""`recovery simulate` on a real MongoDB: what it prints, what programs get, and what it refuses."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from recovery import Customer, Order, SyncRecovery
from recovery.cli import terminal
from tests.support.builders import report

LATER = '[schedule]\nsteps = [{ name = "reminder-1", delay = "2h" }, { name = "reminder-2", delay = "1d" }]\n'


@pytest.fixture
def shop(at, mongodb, database_name, call, monkeypatch):
    """Ten checkouts that were left ten days ago, four of them ordered an hour later; and one of today."""
    monkeypatch.setattr(terminal.out, "width", 300)
    assert call("init", **at)[0] == 0
    left_at = datetime.now(UTC) - timedelta(days=10)
    with SyncRecovery(mongodb, database=database_name) as recovery:
        for number in range(10):
            customer = Customer(email=f"customer{number}@example.com")
            recovery.checkout(report(str(number), customer=customer, touched_at=left_at))
            if number < 4:
                order = Order(shop="shop.example", order_id=str(number), ordered_at=left_at + timedelta(hours=1))
                recovery.order(order)
        recovery.checkout(report("today", customer=Customer(email="today@example.com")))
        yield recovery


@pytest.fixture
def new(tmp_path):
    """A file with a schedule to try."""
    path = tmp_path / "new.toml"
    path.write_text(LATER)
    return str(path)


def test_programs_get_the_comparison(call, at, shop, new):
    """Mails by step, mails saved, and the checkouts that come out differently; what is too young is left out."""
    code, out, complaint = call("simulate", "--schedule", new, "--shop", "shop.example", "--json", **at)
    assert (code, complaint) == (0, "")
    found = json.loads(out)
    assert found["checkouts"] == 10
    assert sum(found["left_out"].values()) == 1
    assert found["in_force"]["mails"] == {"reminder-1": 10, "reminder-2": 6, "reminder-3": 6, "confirmation": 4}
    assert found["new"]["mails"] == {"reminder-1": 6, "reminder-2": 6, "confirmation": 4}
    assert (found["in_force"]["ordered_unreminded"], found["new"]["ordered_unreminded"]) == (0, 4)
    assert (found["in_force"]["saved"], found["new"]["saved"]["reminder-1"]) == ({"reminder-2": 4, "reminder-3": 4}, 4)
    assert sum(found["in_force"]["hours_of_the_week"]) == 26
    assert found["changed"] == 10
    [first, *_] = found["different"]
    assert first["messages"][0]["step"] == "reminder-1"
    assert len(found["notes"]) == 3


def test_nothing_is_written(call, at, shop, new, database_name):
    """The checkouts are as before."""
    kept = shop._own[database_name]["checkouts"]
    before = list(kept.find().sort("_id", 1))
    assert call("simulate", "--schedule", new, **at)[0] == 0
    assert list(kept.find().sort("_id", 1)) == before


def test_people_get_tables(call, at, shop, new):
    """Counts beside each other, when in the week, and the list."""
    code, out, complaint = call("simulate", "--schedule", new, "--differences", "1", **at)
    assert (code, complaint) == (0, "")
    assert "10 checkouts, 4 of them ordered." in out
    [line] = [line for line in out.splitlines() if "all reminders" in line]
    assert line.split("│")[1:5] == [" all reminders ", "       22 ", "  12 ", "    -10 "]
    assert "none: ordered before" in out or "none: no such step" in out
    assert "10 checkouts get other mails, 0 the same mails at other times, 0 the same." in out
    assert "too young" in out


def test_nothing_kept_is_said(call, at, shop, new):
    """With what to do."""
    code, out, _ = call("simulate", "--schedule", new, "--shop", "other.example", **at)
    assert code == 0
    assert "There is nothing to compare" in out


def test_a_population_may_be_drawn_instead(call, at, new):
    """Without any database, the same for the same seed."""
    nowhere = at | {"MONGODB__URI": "mongodb://127.0.0.1:1"}
    arguments = ("simulate", "--schedule", new, "--drawn", "300", "--json", "--seed")
    first, again, other = (call(*arguments, seed, **nowhere) for seed in ("1", "1", "2"))
    assert (first[0], first[2]) == (0, "")
    assert first == again != other
    assert json.loads(first[1])["checkouts"] == 300


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ('[schedule]\nmin_gap = "soon"\n', (), "schedule.min_gap (RECOVERY_SCHEDULE__MIN_GAP, set in"),
        ("[schedule]\ndelay = 3\n", (), "schedule.delay: unknown setting"),
        (
            "[mail]\nsender = 'a@b.example'\n",
            (),
            "mail: only [schedule], [confirmation] and [experiments.<name>] can be tried",
        ),
        ("schedule\n", (), "is not TOML"),
        ("", (), "there is nothing to try"),
        (LATER, ("--since", "soon"), "--since soon: give a duration"),
        (LATER, ("--since", "1h"), "give a time of 1 to 366 days"),
    ],
)
def test_what_cannot_be_tried_is_an_error_that_says_why(call, at, tmp_path, text, arguments, said):
    """The same errors as when the daemon reads its settings."""
    path = tmp_path / "bad.toml"
    path.write_text(text)
    code, _, complaint = call("simulate", "--schedule", str(path), *arguments, **at)
    assert code == 1
    assert said in complaint


def test_a_missing_file_is_named(call, at):
    """With the reason."""
    code, _, complaint = call("simulate", "--schedule", "missing.toml", **at)
    assert code == 1
    assert "missing.toml cannot be read: No such file or directory" in complaint


EXPERIMENT = (
    '[experiments.later]\nshare = 0.5\nuntil = "2999-01-01"\n'
    'steps = [{ name = "reminder-1", delay = "2h" }, { name = "reminder-2", delay = "1d" }]\n'
)
KEYS = {"SUPPRESSIONS__KEYS": json.dumps(["k" * 32])}


def test_the_arms_of_an_experiment_are_counted(call, at, shop, tmp_path):
    """Kept checkouts, each by the steps of its person's arm; with the sums of both arms those of all."""
    path = tmp_path / "new.toml"
    path.write_text(EXPERIMENT)
    code, out, complaint = call("simulate", "--schedule", str(path), "--json", **at, **KEYS)
    assert (code, complaint) == (0, "")
    found = json.loads(out)
    assert found["in_force"]["arms"] == []
    a, b = found["new"]["arms"]
    assert (a["arm"], b["arm"]) == ("a", "b")
    assert (a["checkouts"] + b["checkouts"], a["reminders"] + b["reminders"]) == (10, found["new"]["reminders"])
    assert found["changed"] == b["checkouts"] > 0
    code, out, _ = call("simulate", "--schedule", str(path), **at, **KEYS)
    assert f"{a['experiment']} b: reminders" in out


def test_an_experiment_is_tried_over_a_drawn_population(call, at, tmp_path):
    """Without a key it is refused, as by the daemon."""
    path = tmp_path / "new.toml"
    path.write_text(EXPERIMENT)
    arguments = ("simulate", "--schedule", str(path), "--drawn", "300", "--json")
    nowhere = at | {"MONGODB__URI": "mongodb://127.0.0.1:1"}
    code, out, complaint = call(*arguments, **nowhere)
    assert code != 0
    assert "is required with experiments" in out + complaint
    code, out, complaint = call(*arguments, **nowhere, **KEYS)
    assert (code, complaint) == (0, "")
    assert sum(each["checkouts"] for each in json.loads(out)["new"]["arms"]) == 300
