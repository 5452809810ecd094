"""`recovery results`, on a real mongod."""

import asyncio
import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from recovery.app.factories import results_of
from recovery.cli import terminal
from recovery.mongo.collections import CHECKOUTS, OPTIONS, ensure
from recovery.mongo.connection import connect
from recovery.settings import load_settings

NOW = datetime.now(UTC).replace(microsecond=0)


def stored(number, ordered):
    sent = NOW - timedelta(days=3)
    return {
        "_id": f"lamps.example/{number}",
        "shop": "lamps.example",
        "status": "ordered" if ordered else "open",
        "facts": {"total": "20.50", "currency": "EUR", "locale": "de"},
        "opened_at": sent,
        "touched_at": sent,
        "revision": 1,
        "messages": {"reminder-1": {"state": "sent", "sent_at": sent}},
        "written_at": sent,
        "returned": {"reminder-1": sent + timedelta(hours=1)} if number == 0 else {},
        **({"ordered_at": sent + timedelta(hours=2)} if ordered else {}),
    }


@pytest.fixture
def counted(at):
    """Ten mails of which four were ordered, counted."""

    async def fill():
        async with connect(at["MONGODB__URI"]) as client:
            database = client.get_database(at["MONGODB__DATABASE"], **OPTIONS)
            await ensure(database)
            await database[CHECKOUTS].insert_many([stored(number, number < 4) for number in range(10)])
            await results_of(load_settings(), database).count(NOW)

    asyncio.run(fill())
    return at


def test_three_figures_side_by_side(call, counted, monkeypatch):
    """Who came back, who ordered, and the lift; with money."""
    monkeypatch.setattr(terminal.out, "width", 200)
    code, printed, _ = call("results", **counted)
    assert code == 0
    row = re.sub(r"\s*│\s*", "|", next(line for line in printed.splitlines() if "lamps" in line)).strip("| ")
    assert row == "lamps.example|10|10|1 (10.0 %)|1 (10.0 %)|4 (40.0 %)|82.00 EUR|–"


def test_as_json(call, counted):
    """For programs, with each row."""
    code, printed, _ = call("results", "--by", "language", "--json", **counted)
    found = json.loads(printed)
    assert code == 0
    assert [row["group"] for row in found["rows"]] == ["de"]
    assert found["total"]["ordered"] == {"checkouts": 4, "money": {"EUR": "82.00"}}
    assert found["experiments"] == []


def test_as_csv(call, counted, tmp_path):
    """For a spreadsheet, in a file."""
    file = tmp_path / "results.csv"
    code, printed, _ = call("results", "--by", "week", "--csv", str(file), **counted)
    assert (code, printed) == (0, f"Wrote {file}: 1 rows and their total.\n")
    assert file.read_text().splitlines()[1].split(",")[1:9] == ["10", "10", "1", "1", "4", "EUR", "20.50", "82.00"]
    code, _, complaint = call("results", "--csv", str(tmp_path / "none" / "results.csv"), **counted)
    assert "cannot be written" in complaint


def test_only_these_days_and_shops(call, counted):
    """Days are included; another shop has nothing."""
    day = (NOW - timedelta(days=3)).date()
    for options, mails in (
        (["--since", str(day), "--until", str(day)], 10),
        (["--since", str(day + timedelta(days=1))], 0),
        (["--shop", "other.example"], 0),
        (["--shop", "lamps.example", "--shop", "other.example"], 10),
    ):
        _, printed, _ = call("results", "--json", *options, **counted)
        assert json.loads(printed)["total"]["mails"] == mails, options


def test_faults_are_sentences(call, counted):
    """A wrong day, days in the wrong order, an unknown kind of row."""
    for options, sentence in (
        (["--since", "yesterday"], "is not a day such as 2026-12-01"),
        (["--since", "2026-02-02", "--until", "2026-02-01"], "--since must not be after --until"),
        (["--by", "colour"], "is not one of: shop, step, language, coupon, week"),
    ):
        code, _, complaint = call("results", *options, **counted)
        assert code != 0
        assert sentence in re.sub(r"\s*│?\n│?\s*", " ", complaint)


def test_nothing_yet(call, at):
    """A new installation says when there will be something."""
    call("init", **at)
    code, printed, _ = call("results", **at)
    assert code == 0
    assert "There is nothing yet" in printed


def test_show_tells_who_came_back_and_the_arms(call, counted):
    """`recovery show` says by which mail a customer came back, and in which arm the checkout is."""

    async def assign():
        async with connect(counted["MONGODB__URI"]) as client:
            checkouts = client[counted["MONGODB__DATABASE"]][CHECKOUTS]
            await checkouts.update_one({"_id": "lamps.example/0"}, {"$set": {"experiments": {"quiet-1": "reminded"}}})

    asyncio.run(assign())
    _, printed, _ = call("show", "lamps.example/0", **counted)
    assert re.search(r"^came back \S+ \S+ by the link of reminder-1$", printed, re.MULTILINE)
    assert "experiment quiet-1: reminded\n" in printed
