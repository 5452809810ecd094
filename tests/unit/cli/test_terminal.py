"""Terminal output: texts are shown safely, even hostile ones."""

import io
import json
import re
import subprocess
import sys

import pytest
from rich.console import Console

from recovery.cli import terminal
from recovery.cli.dead import CAUSES
from recovery.cli.suppressions import REASONS
from recovery.cli.terminal import json_text, plain, print_table, say, say_lines, sentence
from recovery.domain.state import Cause
from recovery.domain.suppression import SuppressionReason

HOSTILE = [
    "\x1b]0;OWNED\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "\x7f\x08\x08",
    "\u202eelpmaxe\u202c",
    "\u2066a\u2069",
    "\u200f\u061c",
    "\u2028",
]


@pytest.fixture
def screen(monkeypatch):
    """A terminal with colours that records its input."""
    file = io.StringIO()
    monkeypatch.setattr(terminal, "out", Console(file=file, force_terminal=True, width=200, highlight=False))
    return file


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_terminal_obeys_gets_to_it(text):
    """Each control character, and each that turns text around, is shown as an escape."""
    assert plain(f"a{text}b").isprintable()
    assert plain(f"a{text}b", keep="\n\t").startswith("a\\")


@pytest.mark.parametrize("text", ["Ada Lovelace", "花子 佐藤", "مرحبا", "O’Neil <a@b.example>", "👩‍👧"])
def test_ordinary_names_are_shown_as_they_are(text):
    """Letters of every script stay, whatever direction they are read in."""
    assert plain(text) == text


def test_lines_stay_one_line_unless_kept():
    """A line end in a name cannot begin a line of its own; a mail may have lines."""
    assert plain("a\r\nb\tc") == "a  b c"
    assert plain("a\nb\tc", keep="\n\t") == "a\nb\tc"


@pytest.mark.parametrize("text", ["[red]x[/blue]", "[link=https://evil.example]x[/link]", "[/x]", ":smile:", "\\[b]"])
def test_markup_is_text(screen, text):
    """What looks like markup is printed as it stands, in a line and in a table."""
    say(text)
    print_table(["what"], [[text]])
    assert screen.getvalue().count(text) == 2
    assert "\x1b]8;" not in screen.getvalue(), "no link"


@pytest.mark.parametrize("text", HOSTILE)
def test_a_table_and_a_line_are_safe(screen, text):
    """Nothing of it but our own styles gets to the terminal."""
    say(("head", "bold"), text)
    say_lines(f"a\n{text}")
    print_table(["what"], [[text]])
    styles = re.compile(r"\x1b\[[0-9;]*m")
    assert styles.sub("", screen.getvalue()).replace("\n", "").isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_json_is_safe_and_the_same(text):
    """A document has escapes for what a terminal would obey, and reads back as it was."""
    written = json_text({"name": text})
    assert written.replace("\n", "").isprintable()
    assert json.loads(written) == {"name": text}


@pytest.mark.parametrize("text", ["no address", "no address.", "no address..", "no address. "])
def test_one_full_stop(text):
    """A sentence ends with one, whatever it was given with."""
    assert sentence(text) == "no address."


@pytest.mark.parametrize(
    ("told", "choices"), [(CAUSES, Cause), (REASONS, SuppressionReason)], ids=["causes", "reasons"]
)
def test_help_names_all_choices(told, choices):
    """The help of an option names all that it may be, in their order."""
    assert told.replace(" or ", ", ").split(", ") == [choice.value for choice in choices]


@pytest.mark.parametrize("argument", ["--version", "--help", "-h"])
def test_what_needs_nothing_imports_nothing(argument):
    """The version and the help wait for neither database, templates, HTTP nor settings."""
    heavy = ["fastapi", "jinja2", "pymongo", "babel", "pydantic", "pydantic_settings", "prometheus_client"]
    code = (
        "import sys\nfrom recovery.cli import main\n"
        f"sys.argv = ['recovery', {argument!r}]\n"
        "try:\n    main()\nexcept SystemExit as exc:\n    assert not exc.code, exc.code\n"
        f"print('imported', [name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("imported []\n")
    assert ("recovery 0." in done.stdout) is (argument == "--version")


def test_a_group_has_the_short_help_too():
    """-h is understood wherever --help is."""
    code = "from recovery.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "dead", "list", "-h"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "List dead letters" in done.stdout
