"""docs/results.md says what is printed, and its settings load."""

import re
import tomllib
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from recovery.domain.experiments import Experiment
from recovery.domain.results import By, Cell, Sums, Terms, results
from recovery.domain.results_text import sentence_of
from recovery.domain.statistics import wanted
from recovery.settings import load_settings
from tests.support.paths import ROOT

PAGE = (ROOT / "docs/results.md").read_text()
QUIET = Experiment("quiet", 0.1, date(2026, 12, 31))


def arm(name, checkouts, ordered):
    sums = Sums(checkouts=checkouts, ordered=ordered, money=Decimal(60 * ordered), squares=Decimal(4500 * ordered))
    return Cell(date(2026, 11, 2), "lamps.example", "EUR", sums, experiment=QUIET.id, arm=name)


def test_the_example_is_what_is_printed():
    """The sentence about an experiment, with its intervals."""
    cells = [arm("reminded", 15_100, 1_520), arm("held out", 1_680, 135)]
    terms = Terms((QUIET,), timedelta(days=5), 0.02)
    (lift,) = results(cells, By.SHOP, terms, datetime(2027, 2, 1, tzinfo=UTC)).lifts
    assert sentence_of(lift) in " ".join(PAGE.split())


def test_the_numbers_of_checkouts_are_those_of_the_power_formula():
    """Each row of the table."""
    rows = re.findall(r"^\| (0\.\d+) \| ([\d,]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 4
    for share, number in rows:
        assert wanted(0.08, 0.02, float(share)) == int(number.replace(",", ""))


def test_the_settings_load():
    """Both experiments can be run."""
    for block in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL):
        given = tomllib.loads(block)
        assert load_settings(suppressions={"keys": ["k" * 32]}, experiments=given["experiments"]).to_experiments().all
