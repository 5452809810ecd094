"""Results: sums added up, the lift of experiments, and the words for them."""

import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest

from recovery.cli.results import _lift as json_of
from recovery.domain.experiments import Experiment
from recovery.domain.results import By, Cell, Sums, Terms, Verdict, results
from recovery.domain.results_text import cells_of, csv_text, headline, sentence_of, short
from recovery.domain.schedule import Step

DAY = date(2026, 11, 2)
LAST = date(2026, 11, 30)
QUIET = Experiment("quiet", 0.5, LAST)
LONG_AFTER = datetime(2027, 1, 1, tzinfo=UTC)


def mails(count, *, day=DAY, shop="a", step="reminder-1", currency="EUR", money="0", coupon="", **sums):
    counted = Sums(mails=count, money=Decimal(money), **{"checkouts": count, **sums})
    return Cell(day, shop, currency, counted, step=step, coupon=coupon)


def arm(name, checkouts, ordered, *, experiment=QUIET.id, shop="a", day=DAY, currency="EUR"):
    money = Decimal(10 * ordered)
    sums = Sums(checkouts=checkouts, ordered=ordered, money=money, squares=money * 10)
    return Cell(day, shop, currency, sums, experiment=experiment, arm=name)


def found(*cells, by=By.SHOP, now=LONG_AFTER, experiments=(QUIET,), smallest_lift=0.02):
    return results(cells, by, Terms(experiments, timedelta(days=5), smallest_lift), now)


def test_rows_add_up_to_the_total():
    """Every mail is in one row, and money is never added up across currencies."""
    cells = [
        mails(3, shop="a", ordered=1, money="10.50"),
        mails(2, shop="b", ordered=2, money="7", currency="USD"),
        mails(5, shop="a", step="reminder-2", returned=2),
    ]
    by_shop = found(*cells)
    assert [(row.group, row.sums.mails) for row in by_shop.rows] == [("a", 8), ("b", 2)]
    assert (by_shop.total.sums.mails, by_shop.total.sums.returned) == (10, 2)
    assert by_shop.total.money == {"EUR": Decimal("10.50"), "USD": Decimal(7)}
    assert [row.group for row in found(*cells, by=By.STEP).rows] == ["reminder-1", "reminder-2"]


def test_weeks_are_those_of_iso_8601():
    """The first days of a year may belong to the last week of the year before."""
    rows = found(mails(1, day=date(2027, 1, 2)), mails(1, day=date(2026, 12, 29)), by=By.WEEK).rows
    assert [(row.group, row.sums.mails) for row in rows] == [("2026-W53", 2)]


def test_a_final_lift_has_its_interval():
    """Reminded less held out, with money by checkout."""
    (lift,) = found(arm("reminded", 10_000, 1_000), arm("held out", 10_000, 800)).lifts
    assert lift.verdict is Verdict.FINAL
    assert lift.orders.value == pytest.approx(0.02)
    assert lift.orders.low > 0
    assert lift.money["EUR"].value == pytest.approx(0.2)
    assert sentence_of(lift) == (
        f"{QUIET.id}: reminded 1,000 (10.0 %) of 10,000 ordered, 0 still open, held out 800 (8.0 %) of 10,000 ordered,"
        " 0 still open. Lift +2.0 points (+1.2 to +2.8). Money per checkout: +0.20 EUR (+0.12 to +0.28),"
        " +25 % (+14 to +36)."
    )


def test_the_percentage_is_in_json_as_well():
    """As a part of the base's money, by currency, beside the amount."""
    (lift,) = found(arm("reminded", 10_000, 1_000), arm("held out", 10_000, 800)).lifts
    printed = json_of(lift)
    assert printed["money_per_checkout"]["EUR"]["value"] == pytest.approx(0.2)
    assert printed["relative_money_per_checkout"]["EUR"]["value"] == pytest.approx(0.25)


def test_a_lift_of_nothing_has_no_percentage():
    """Where nobody bought who was held out, there is nothing that the money could be a part of."""
    (lift,) = found(arm("reminded", 10_000, 1_000), arm("held out", 10_000, 0)).lifts
    assert set(lift.money) == {"EUR"}
    assert lift.relative_money == {}
    assert sentence_of(lift).endswith("Money per checkout: +1.00 EUR (+0.94 to +1.06).")


def test_a_look_before_the_end_says_that_it_is_one():
    """Until the last checkout has had its window, the figures can change."""
    cells = arm("reminded", 10_000, 1_000), arm("held out", 10_000, 800)
    for now, verdict in (
        (datetime(2026, 11, 15, tzinfo=UTC), Verdict.EARLY),
        (datetime(2026, 12, 5, 23, tzinfo=UTC), Verdict.EARLY),
        (datetime(2026, 12, 6, tzinfo=UTC), Verdict.FINAL),
    ):
        (lift,) = found(*cells, now=now).lifts
        assert (lift.verdict, lift.final_on) == (verdict, date(2026, 12, 6))
    (lift,) = found(*cells, now=datetime(2026, 11, 15, tzinfo=UTC)).lifts
    assert "a look before the end date" in short(lift)
    assert "A look before the end date, final on 2026-12-06" in sentence_of(lift)


def test_too_little_data_shows_no_figure():
    """Instead of a difference it tells how many checkouts are missing."""
    (lift,) = found(arm("reminded", 50, 30), arm("held out", 50, 4)).lifts
    assert lift.verdict is Verdict.TOO_LITTLE
    assert lift.missing == 6421 - 100
    assert short(lift) == "too little data: 6,321 more"
    assert "Lift" not in sentence_of(lift)


def test_lopsided_arms_are_shouted_about():
    """1,100 of 2,000 held out where it should be half: p is below 0.001, and no difference is shown."""
    (lift,) = found(arm("reminded", 9_000, 1_000), arm("held out", 11_000, 800)).lifts
    assert lift.verdict is Verdict.LOPSIDED
    assert "THE ARMS DO NOT HAVE THEIR SHARES" in sentence_of(lift)
    assert "not to be believed" in short(lift)


def test_the_share_is_that_of_the_held_out():
    """One in ten is held out: nothing is lopsided; and of template b."""
    tenth = Experiment("tenth", 0.1, LAST)
    cells = arm("reminded", 9_000, 900, experiment=tenth.id), arm("held out", 1_000, 80, experiment=tenth.id)
    assert found(*cells, experiments=(tenth,)).lifts[0].ratio_p == pytest.approx(1)
    words = Experiment("words", 0.1, LAST, templates=(("reminder-1", "short"),))
    cells = arm("a", 9_000, 900, experiment=words.id), arm("b", 1_000, 120, experiment=words.id)
    (lift,) = found(*cells, experiments=(words,)).lifts
    assert (lift.ratio_p, lift.orders.value) == (pytest.approx(1), pytest.approx(0.02))


def test_a_row_has_the_lift_of_its_own():
    """By shop each has its own hold-out; who is held out gets no step, so steps have none."""
    cells = [
        mails(5, shop="a"),
        mails(5, shop="b"),
        arm("reminded", 10_000, 1_000, shop="a"),
        arm("held out", 10_000, 800, shop="a"),
    ]
    first, second = found(*cells).rows
    assert first.lift.orders.value == pytest.approx(0.02)
    assert second.lift is None
    assert [row.lift for row in found(*cells, by=By.STEP).rows] == [None]
    assert found(*cells, by=By.STEP).total.lift == first.lift


def test_a_comparison_of_templates_is_no_hold_out():
    """It is told below the rows, not in them."""
    words = Experiment("words", 0.5, LAST, templates=(("reminder-1", "short"),))
    cells = arm("a", 10_000, 800, experiment=words.id), arm("b", 10_000, 900, experiment=words.id)
    whole = found(*cells, experiments=(words,))
    assert whole.total.lift is None
    assert "with template b 900 (9.0 %)" in sentence_of(whole.lifts[0])


def test_a_comparison_of_schedules_has_the_same_statistics():
    """Two arms side by side, with the lift of b over a; without its settings it is not known what they differ in."""
    step = Step("reminder-1", timedelta(hours=2), "reminder-1", None, timedelta(hours=12))
    later = Experiment("later", 0.5, LAST, steps=(step,))
    cells = arm("a", 10_000, 800, experiment=later.id), arm("b", 10_000, 1_000, experiment=later.id)
    (lift,) = found(*cells, experiments=(later,)).lifts
    (words,) = found(arm("held out", 10_000, 800), arm("reminded", 10_000, 1_000)).lifts
    assert (lift.orders, lift.verdict, lift.money) == (words.orders, words.verdict, words.money)
    assert "with schedule b 1,000 (10.0 %) of 10,000 ordered, 0 still open, with schedule a 800" in sentence_of(lift)
    (gone,) = found(*cells, experiments=()).lifts
    assert "in arm b 1,000 (10.0 %) of 10,000 ordered, 0 still open, in arm a 800" in sentence_of(gone)
    lopsided = found(cells[0], arm("b", 12_000, 1_000, experiment=later.id), experiments=(later,)).lifts[0]
    assert lopsided.verdict is Verdict.LOPSIDED


def test_an_experiment_that_left_the_settings_is_still_told():
    """Its share and its end are no longer known, so the ratio of its arms is not checked."""
    (lift,) = found(arm("reminded", 10_000, 1_000), arm("held out", 10_000, 800), experiments=()).lifts
    assert (lift.verdict, lift.ratio_p, lift.final_on) == (Verdict.FINAL, None, None)


def test_one_arm_alone_shows_nothing():
    """Nobody was held out yet: no interval, and no division by zero."""
    (lift,) = found(arm("reminded", 10, 1)).lifts
    assert (lift.verdict, lift.orders, lift.money) == (Verdict.TOO_LITTLE, None, {})
    assert "None" not in sentence_of(lift)


def test_the_three_figures_stand_side_by_side():
    """The cells of a row, each with its part of the checkouts."""
    row = found(mails(200, returned=20, returned_orders=5, ordered=8, money="99.5")).total
    assert cells_of(row) == ("200", "200", "20 (10.0 %)", "5 (2.5 %)", "8 (4.0 %)", "99.50 EUR", "–")


def test_a_csv_file_has_a_line_for_each_currency():
    """Counts are in the first line of a row, so that a sum over the column is right; and no cell is a formula."""
    text = csv_text(
        found(
            mails(3, shop="=cmd", ordered=1, money="10.50"),
            mails(2, shop="=cmd", currency="USD", money="7"),
            arm("reminded", 10_000, 1_000, shop="=cmd"),
            arm("held out", 10_000, 800, shop="=cmd"),
        )
    )
    first, second, *total = csv.DictReader(StringIO(text))
    assert (first["group"], first["mails"], first["currency"], first["money"]) == ("'=cmd", "5", "EUR", "10.50")
    assert (second["mails"], second["currency"], second["money"], second["lift"]) == ("", "USD", "7", "")
    assert (first["lift"], first["lift_verdict"]) == ("0.020000", "final")
    assert [each["group"] for each in total] == ["total", "total"]


def test_a_row_of_a_step_or_a_coupon_has_its_parts_of_the_mails():
    """A checkout counts for its first mail alone: of a second reminder, there are mails and hardly any checkouts."""
    second = mails(500, step="reminder-2", checkouts=2, returned=50, returned_orders=20, ordered=40, coupon="TEN")
    for by in (By.STEP, By.COUPON):
        (row,) = found(second, by=by).rows
        assert cells_of(row)[:5] == ("500", "2", "50 (10.0 %)", "20 (4.0 %)", "40 (8.0 %)")
    (row,) = found(mails(500, checkouts=400, returned=50), by=By.LANGUAGE).rows
    assert cells_of(row)[2] == "50 (12.5 %)"


@pytest.mark.parametrize(
    ("group", "cell"), [("", ""), ("a", "a"), ("+49", "'+49"), ("\n=cmd", "'\n=cmd"), ("＝cmd", "'＝cmd")]
)
def test_a_group_in_a_csv_file_is_text(group, cell):
    """What a spreadsheet could take for a formula is quoted, also in full-width signs; nothing stays nothing."""
    row, _ = csv.DictReader(StringIO(csv_text(found(mails(1, coupon=group), by=By.COUPON)), newline=""))
    assert row["group"] == cell


def test_nothing_is_a_total_of_nothing():
    """A new installation."""
    whole = found()
    assert (whole.rows, whole.lifts, whole.total.sums) == ([], [], Sums())


@pytest.mark.parametrize(
    ("arms", "now", "lines"),
    [
        ((10_000, 1_000, 10_000, 800), LONG_AFTER, ("+2.0 points", "(+1.2 to +2.8)")),
        (
            (10_000, 1_000, 10_000, 800),
            datetime(2026, 11, 9, tzinfo=UTC),
            ("+2.0 points", "(+1.2 to +2.8), a look before the end date"),
        ),
        ((50, 30, 50, 4), LONG_AFTER, ("too little data", "6,321 more checkouts")),
        ((9_000, 900, 11_000, 800), LONG_AFTER, ("not to be believed", "the arms do not have their shares")),
    ],
    ids=["final", "early", "too little", "lopsided"],
)
def test_a_figure_has_two_lines(arms, now, lines):
    """The first line is as much as the data bears."""
    treated, ordered, held, held_ordered = arms
    total = found(arm("reminded", treated, ordered), arm("held out", held, held_ordered), now=now).total
    assert headline(total.lift) == lines
    assert headline(None)[0] == "–"
