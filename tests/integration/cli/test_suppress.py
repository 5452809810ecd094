"""`recovery suppress` as a person meets it, on a real MongoDB."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest

from recovery.cli.address_lists import row
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.suppression import SuppressionReason
from recovery.mongo.suppressions import KeptSuppression

KEYS = "a key of the suppressions"
ADA = Pseudonyms([KEYS]).of("ada@example.com")


@pytest.fixture
def suppress(call, at):
    """Call `recovery suppress`; return the exit code and all that was said."""

    def suppress(*arguments, **settings):
        code, out, complaint = call("suppress", *map(str, arguments), **{**at, "SUPPRESSIONS__KEYS": KEYS, **settings})
        return code, out + complaint

    return suppress


def test_an_address_is_added_listed_and_removed(suppress):
    """Added addresses are listed by pseudonym and gone once removed; adding is idempotent."""
    assert suppress("add", "Ada@example.com", "ben@example.com") == (0, "Added 2 of 2.\n")
    assert suppress("add", "ada@example.com") == (0, "Added 0 of 1, 1 of them existed already.\n")
    _, listed = suppress("list")
    assert "all" in listed
    assert ADA[:8] in listed
    assert "example.com" not in listed
    assert suppress("remove", "ada@example.com", "ben@example.com") == (0, "Removed 2 of 2.\n")
    assert suppress("list") == (0, "Nobody is suppressed.\n")


def test_a_shop_is_one_of_many(suppress):
    """What holds for one shop is listed and removed with that shop alone."""
    suppress("add", "ada@example.com", "--shop", "shop.example", "--reason", "complaint")
    assert "complaint" in suppress("list", "--shop", "shop.example", "--reason", "complaint")[1]
    assert suppress("list", "--shop", "shop")[1] == "Nobody is suppressed.\n"
    assert suppress("list", "--reason", "shop")[1] == "Nobody is suppressed.\n"
    _, said = suppress("remove", "ada@example.com")
    assert "was not suppressed for all shops; name a --shop" in said
    assert "Removed 0 of 1." in said
    assert suppress("remove", "ada@example.com", "--shop", "shop.example") == (0, "Removed 1 of 1.\n")


@pytest.mark.parametrize("command", ["add", "remove"])
def test_an_invalid_address_is_reported(suppress, command):
    """An invalid address stops the command before anything is done."""
    code, said = suppress(command, "ada@example.com", "nobody")
    assert code == 1
    assert said == "recovery: 'nobody' is not a valid e-mail address."
    assert suppress("list")[1] == "Nobody is suppressed.\n"


@pytest.mark.parametrize("arguments", [("add", "ada@example.com"), ("remove", "ada@example.com"), ("import", "list")])
def test_an_invalid_shop_key_is_reported(suppress, arguments):
    """A shop that could not be one stops the command with a sentence."""
    code, said = suppress(*arguments, "--shop", "a/b")
    assert (code, said) == (1, "recovery: 'a/b' is not a valid shop key: it has spaces or slashes in it.")


@pytest.mark.parametrize(
    "text",
    [
        "ada@example.com\n\n# moved away\nben@example.com\nnobody\n",
        "name,Email\nAda,ada@example.com\nBen,ben@example.com\n,nobody\n",
        '\ufeffemail;name\nada@example.com;"Ada\nLovelace"\nben@example.com;Ben\nnobody;\n',
    ],
    ids=["plain", "CSV", "as spreadsheets write it"],
)
def test_a_list_of_addresses_is_imported(suppress, text, tmp_path):
    """Addresses, one per line or in a column of a CSV, are imported; other lines are reported by number."""
    (tmp_path / "list").write_text(text, "utf-8")
    code, said = suppress("import", tmp_path / "list", "--shop", "shop.example", "--reason", "unsubscribed")
    assert code == 1, "not all of it was taken"
    assert said.endswith(f"line {len(text.splitlines())}: invalid e-mail address\nImported 2; rejected 1.\n")
    _, exported = suppress("export")
    rows = list(csv.DictReader(io.StringIO(exported)))
    assert ADA in {row["pseudonym"] for row in rows}
    assert {(row["shop"], row["reason"], row["source"]) for row in rows} == {("shop.example", "unsubscribed", "import")}


def test_an_export_comes_back(suppress, tmp_path):
    """What was exported can be imported where it was lost, as it was; it holds no address."""
    suppress("add", "ada@example.com", "--reason", "hard bounce")
    suppress("add", "ben@example.com", "--shop", "shop.example")
    assert suppress("export", "-o", tmp_path / "all.csv")[1] == f"Wrote 2 to {tmp_path}/all.csv.\n"
    before = (tmp_path / "all.csv").read_text()
    assert "example.com" not in before
    suppress("remove", "ada@example.com")
    assert suppress("import", tmp_path / "all.csv") == (0, "Imported 2, 1 of them existed already; rejected 0.\n")
    assert suppress("export")[1].splitlines() == before.splitlines()


@pytest.mark.parametrize(
    "source",
    [
        '=HYPERLINK("https://evil.example")',
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "'=1",
        "''=1",
        "'quoted'",
        "plain",
        "= b\nc",
    ],
)
def test_no_export_holds_a_formula(suppress, source, tmp_path):
    """A spreadsheet finds nothing to calculate in it; what comes back is as it was."""
    fields = {"shop": "=cmd", "pseudonym": ADA, "reason": "shop", "at": "2026-03-05T12:00:00+00:00", "source": source}
    exported = row(KeptSuppression("=cmd", ADA, SuppressionReason.SHOP, datetime(2026, 3, 5, 12, tzinfo=UTC), source))
    with (tmp_path / "list").open("w", newline="") as file:
        csv.writer(file).writerows([fields, exported])
    assert suppress("import", tmp_path / "list") == (0, "Imported 1; rejected 0.\n")
    (again,) = csv.DictReader(io.StringIO(suppress("export")[1]))
    assert not any(value.startswith(("=", "+", "-", "@", "\t")) for value in again.values())
    (kept,) = json.loads(suppress("list", "--json")[1])
    assert (kept["shop"], kept["source"]) == ("=cmd", source)


def test_an_export_is_narrowed(suppress):
    """An export is of one shop or one reason if so asked."""
    suppress("add", "ada@example.com", "--reason", "hard bounce")
    suppress("add", "ben@example.com", "--shop", "shop.example")
    assert len(suppress("export", "--shop", "shop.example")[1].splitlines()) == 2
    assert len(suppress("export", "--reason", "hard bounce")[1].splitlines()) == 2


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("shop.example,ada@example.com,shop,2026-03-05T12:00:00Z,x", "pseudonym: String should match"),
        (f"a/b,{'0' * 32},shop,2026-03-05T12:00:00Z,x", "shop: String should match"),
        (f",{'0' * 32},bored,2026-03-05T12:00:00Z,x", "reason: Input should be 'soft bounces'"),
        (f",{'0' * 32},shop,yesterday,x", "at: Input should be a valid datetime"),
        (f",{'0' * 32}", "reason: Input should be"),
    ],
)
def test_a_damaged_export_is_reported(suppress, row, fault, tmp_path):
    """A row of an export that is not as it was written is refused by its line and column."""
    (tmp_path / "list").write_text(f"shop,pseudonym,reason,at,source\n{row}\n")
    code, said = suppress("import", tmp_path / "list")
    assert code == 1
    assert said.splitlines()[0].startswith(f"line 2: {fault}")
    assert said.endswith("Imported 0; rejected 1.\n")


def test_a_file_that_is_something_else(suppress, tmp_path):
    """A file that is missing, not text or not a list is reported in few words."""
    assert suppress("import", tmp_path / "nowhere")[1].endswith("nowhere cannot be read: No such file or directory.")
    (tmp_path / "list").write_bytes(b"\xff\xfe\x00")
    assert "is not UTF-8 text" in suppress("import", tmp_path / "list")[1]
    (tmp_path / "list").write_text("no address\n" * 1_500)
    code, said = suppress("import", tmp_path / "list")
    assert (code, len(said.splitlines())) == (1, 22)
    assert said.endswith("and 1480 more lines\nImported 0; rejected 1500.\n")
    assert "cannot be written" in suppress("export", "-o", tmp_path)[1]


def test_nothing_is_lifted_where_nobody_can_be_asked(suppress):
    """Many at once are lifted only by somebody who says so, or by a script with --yes."""
    suppress("add", "ada@example.com")
    code, said = suppress("lift", "--since", "2026-01-01")
    assert (code, "add --yes to go on" in said) == (2, True)
    assert suppress("lift", "--since", "2026-01-01", "--dry-run") == (0, "1 suppressions match.\n")
    assert suppress("lift", "--since", "2026-01-01", "--yes") == (0, "Lifted 1.\n")


def test_a_long_list_is_taken_whole(suppress, tmp_path):
    """A list that is longer than one write is taken to its end."""
    (tmp_path / "list").write_text("".join(f"{number}@example.com\n" for number in range(2_500)))
    assert suppress("import", tmp_path / "list") == (0, "Imported 2500; rejected 0.\n")
    assert len(suppress("export")[1].splitlines()) == 2_501


def test_a_list_begins_with_the_newest(suppress, tmp_path):
    """The newest is listed first; `--limit` and `--offset` page through the list."""
    lines = [f",{str(day) * 32},shop,2026-03-0{day}T12:00:00Z,x" for day in (2, 3, 1)]
    (tmp_path / "list").write_text("\n".join(["shop,pseudonym,reason,at,source", *lines]))
    suppress("import", tmp_path / "list")

    def days(*options):
        return [each["pseudonym"][0] for each in json.loads(suppress("list", "--json", *options)[1])]

    assert days() == ["3", "2", "1"]
    assert days("--limit", 2) == ["3", "2"]
    assert days("--limit", 2, "--offset", 2) == ["1"]
    assert days("--offset", 3) == []
