"""`recovery import` as a person meets it, on a real MongoDB."""

import io
import json
import os
import signal
import stat
import sys
from datetime import UTC, datetime, timedelta

import pytest
from pymongo import MongoClient

from recovery import Recovery
from recovery.cli import import_run
from recovery.mongo.collections import CHECKOUTS

NOW = datetime.now(UTC)


def checkout(number, **changes):
    """Return a checkout that was left ten minutes ago."""
    return {
        "shop": "shop.example",
        "order_id": str(number),
        "customer": {"email": f"customer{number}@example.com"},
        "items": [{"name": "Lamp", "price": "12.50"}],
        "total": "12.50",
        "currency": "EUR",
        "checkout_url": f"https://shop.example/{number}",
        "touched_at": (NOW - timedelta(minutes=10)).isoformat(),
        **changes,
    }


def order(number, **changes):
    return {"shop": "shop.example", "order_id": str(number), "ordered_at": NOW.isoformat(), **changes}


@pytest.fixture
def run(call, at):
    """Call `recovery import`; return the exit code and all that was said."""

    def run(*arguments, **settings):
        code, out, complaint = call("import", *map(str, arguments), **{**at, **settings})
        return code, out + complaint

    return run


@pytest.fixture
def stored(at):
    """Return the stored checkouts by order id."""
    with MongoClient(at["MONGODB__URI"], tz_aware=True) as client:
        database = client[at["MONGODB__DATABASE"]]
        yield lambda: {each["_id"].split("/")[1]: each for each in database[CHECKOUTS].find()}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "carts.ndjson"


def write(file, reports):
    file.write_bytes(b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in reports))


def refused(file):
    path = file.with_name(f"{file.name}.refused.ndjson")
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else None


OLD = (NOW - timedelta(days=100)).isoformat()


def test_a_file_is_imported(run, stored, file):
    """Each record is stored or refused by itself; what it leads to is printed, and what was refused is in a file."""
    customer = {"email": "ada@example.com"}
    reports = [
        *(checkout(number) for number in range(500)),
        *(checkout(number, touched_at=OLD) for number in range(500, 530)),
        *(order(number, customer=customer) for number in range(530, 540)),
        order(540, customer=customer, ordered_at=OLD),
        b'{"shop": "shop.example", "order',
        checkout(541, total="cheap"),
    ]
    write(file, reports)
    code, said = run(file)
    assert code == 1
    assert said.startswith("541 of 543 records stored, ")
    assert "reminders of 500 checkouts, confirmations of 10 orders" in said
    assert "their time is long over: 31 checkouts and orders" in said
    assert "2 refused: " in said
    assert len(stored()) == 541
    assert [(each["line"], each["field"]) for each in refused(file)] == [(542, None), (543, "total")]
    assert refused(file)[0]["original"] == '{"shop": "shop.example", "order'
    assert stat.S_IMODE(file.with_name("carts.ndjson.refused.ndjson").stat().st_mode) == 0o600
    assert not file.with_name("carts.ndjson.import").exists()


def test_importing_again_changes_nothing(run, stored, file):
    """No checkout has another revision, and the file of refused records is of the last import."""
    write(file, [*map(checkout, range(50)), b"nope"])
    assert run(file)[0] == 1
    once = stored()
    write(file, map(checkout, range(50)))
    assert run(file)[0] == 0
    assert stored() == once
    assert refused(file) is None


def test_a_dry_run_stores_nothing(run, stored, file):
    """It says what an import would do."""
    write(file, [*map(checkout, range(50)), b"nope"])
    code, said = run(file, "--dry-run")
    assert code == 1
    assert said.startswith("50 of 51 records would be stored")
    assert "reminders of 50 checkouts" in said
    assert stored() == {}
    assert len(refused(file)) == 1


@pytest.fixture
def ctrl_c():
    """Have Ctrl-C interrupt, whatever ran before: a job in the background is started with the signal ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted_after(monkeypatch, count):
    """Press Ctrl-C when so many records are counted."""
    counting = import_run.Import._counting

    def pressing(self, session):
        counted = counting(self, session)

        def count_and_press(*arguments):
            counted(*arguments)
            if self._counts.records == count:
                os.kill(os.getpid(), signal.SIGINT)

        return count_and_press

    monkeypatch.setattr(import_run.Import, "_counting", pressing)


@pytest.mark.usefixtures("ctrl_c")
def test_after_ctrl_c_it_goes_on_where_it_stopped(run, stored, file, monkeypatch):
    """No record is left out or counted twice, and those refused before stay in their file."""
    write(file, [b"{nope", *map(checkout, range(2000)), b"nope"])
    with monkeypatch.context() as patch:
        interrupted_after(patch, 700)
        code, said = run(file)
    assert code == 130
    assert "To go on: recovery import" in said
    assert 699 <= len(stored()) < 2000
    code, said = run(file, "--resume")
    assert said.startswith("2000 of 2002 records stored")
    assert "reminders of 2000 checkouts" in said
    assert len(stored()) == 2000
    assert [each["line"] for each in refused(file)] == [1, 2002]
    assert not file.with_name("carts.ndjson.import").exists()


@pytest.mark.usefixtures("ctrl_c")
def test_an_import_of_another_file_is_not_resumed(run, file, monkeypatch):
    """The place where it stopped would be another record."""
    write(file, map(checkout, range(2000)))
    with monkeypatch.context() as patch:
        interrupted_after(patch, 700)
        run(file)
    write(file, map(checkout, range(1999)))
    assert "has changed since its import began" in run(file, "--resume")[1]
    assert run(file)[0] == 0
    assert "There is no import" in run(file, "--resume")[1]


def test_when_the_database_goes_away_it_stops_and_says_how_to_go_on(run, stored, file, monkeypatch, unused_tcp_port):
    """Records after it are not refused: they are not what is wrong."""
    write(file, [b"{nope", *map(checkout, range(50))])
    uri = f"mongodb://127.0.0.1:{unused_tcp_port}/?serverSelectionTimeoutMS=100&directConnection=true"
    with monkeypatch.context() as patch:
        patch.setattr(import_run, "recovery_of", lambda settings: Recovery(uri))
        code, said = run(file)
    assert code == 1
    assert "MongoDB did not acknowledge" in said
    assert "Stopped after 1 records. To go on: recovery import" in said
    assert run(file, "--resume")[1].startswith("50 of 51 records stored")
    assert len(stored()) == 50


def test_standard_input_is_imported(run, stored, monkeypatch, tmp_path):
    """It has no file beside it, so it cannot be resumed."""
    text = b"\n".join(json.dumps(each).encode() for each in (checkout(1), {}, order(2)))
    stream = io.TextIOWrapper(io.BufferedReader(io.BytesIO(text)))
    monkeypatch.setattr(sys, "stdin", stream)
    code, said = run("-")
    assert (code, sorted(stored())) == (1, ["1", "2"])
    assert "1 refused: import.refused.ndjson" in said
    assert (tmp_path / "import.refused.ndjson").exists()
    assert "cannot be resumed" in run("-", "--resume")[1]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("nothing.csv", None, "cannot be read: No such file"),
        ("carts.csv", "shop,phone\n", "unknown columns: phone"),
    ],
)
def test_what_cannot_be_imported_is_told(run, tmp_path, name, text, said):
    """A sentence, and no file beside it."""
    if text is not None:
        (tmp_path / name).write_text(text)
    code, told = run(tmp_path / name)
    assert code == 1
    assert said in told
    assert "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ([name] if text else [])


def test_a_folder_that_cannot_be_written_is_no_hindrance(run, stored, file, monkeypatch):
    """The import goes on; only resuming it is not possible."""
    write(file, map(checkout, range(1500)))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("recovery.cli.import_state.Progress.save", full)
    code, said = run(file)
    assert code == 0
    assert said.count("so this import cannot be resumed") == 1
    assert len(stored()) == 1500


def test_a_file_of_csv_is_imported(run, stored, tmp_path):
    """Columns are named as fields."""
    file = tmp_path / "carts.csv"
    file.write_text(
        "shop;order_id;email;items.0.name;items.0.price;total;currency;checkout_url;touched_at;ordered_at\n"
        f"shop.example;1;ada@example.com;Lamp;12.50;12.50;EUR;https://shop.example/1;{NOW.isoformat()};\n"
        f"shop.example;2;ada@example.com;Lamp;12.50;12.50;EUR;https://shop.example/2;{OLD};{OLD}\n"
    )
    assert run(file)[0] == 0
    assert {name: each["status"] for name, each in stored().items()} == {"1": "open", "2": "ordered"}
