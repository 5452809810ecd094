"""Results in words: the cells of a table, the sentence about an experiment, and the rows of a CSV file. Pure."""

import csv
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import StringIO

from recovery.domain.experiments import Kind
from recovery.domain.results import Lift, Results, Row, Verdict
from recovery.domain.statistics import Interval

HEADINGS = (
    "mails",
    "checkouts",
    "came back",
    "then ordered",
    "ordered within window",
    "money",
    "lift",
)
"""The headings of a table, beside that of the group."""

_ARMS: Mapping[Kind | None, str] = {Kind.TEMPLATES: "with template", Kind.SCHEDULES: "with schedule"}

CSV_HEADINGS = (
    "group",
    "mails",
    "checkouts",
    "returned",
    "returned_orders",
    "ordered",
    "currency",
    "returned_money",
    "money",
    "lift",
    "lift_low",
    "lift_high",
    "lift_verdict",
    "lift_missing",
)


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a formula in a spreadsheet begins with."""


def cells_of(row: Row) -> Sequence[str]:
    """Return the cells of a row, without its group."""
    sums, whole = row.sums, row.whole
    return (
        f"{sums.mails:,}",
        f"{sums.checkouts:,}",
        part(sums.returned, whole),
        part(sums.returned_orders, whole),
        part(sums.ordered, whole),
        money(row.money),
        short(row.lift),
    )


def part(count: int, whole: int) -> str:
    """Return a count with its part of the whole: `12 (3.4 %)`."""
    return f"{count:,} ({100 * count / whole:.1f} %)" if whole else f"{count:,}"


def money(amounts: Mapping[str, Decimal]) -> str:
    """Return amounts by currency. They are never added up across currencies."""
    return ", ".join(f"{amount:,.2f} {currency or '?'}" for currency, amount in amounts.items())


def short(lift: Lift | None) -> str:
    """Return a lift for a cell: never a figure that its data does not bear."""
    if lift is None:
        return "–"
    match lift.verdict:
        case Verdict.LOPSIDED:
            return "arms are lopsided: not to be believed"
        case Verdict.TOO_LITTLE:
            return f"too little data: {lift.missing:,} more"
        case Verdict.EARLY:
            return f"{points(lift.orders)}, a look before the end date"
        case Verdict.FINAL:
            return points(lift.orders)


def headline(lift: Lift | None) -> tuple[str, str]:
    """Return a lift in two lines, for a figure: the first is as much as its data bears."""
    if lift is None:
        return "–", "without a hold-out nobody knows who would have ordered anyway"
    if lift.verdict is Verdict.LOPSIDED:
        return "not to be believed", lift.verdict.value
    if lift.verdict is Verdict.TOO_LITTLE or lift.orders is None:
        return Verdict.TOO_LITTLE.value, f"{lift.missing:,} more checkouts"
    value, _, interval = points(lift.orders).partition(" (")
    look = f", {lift.verdict.value}" if lift.verdict is Verdict.EARLY else ""
    return value, f"({interval}{look}"


def points(interval: Interval | None) -> str:
    """Return a difference of rates in percentage points, with its interval."""
    if interval is None:
        return "–"
    value, low, high = (100 * each for each in (interval.value, interval.low, interval.high))
    return f"{value:+.1f} points ({low:+.1f} to {high:+.1f})"


def _percentage(interval: Interval | None) -> str:
    if interval is None:
        return ""
    value, low, high = (100 * each for each in (interval.value, interval.low, interval.high))
    return f", {value:+.0f} % ({low:+.0f} to {high:+.0f})"


def sentence_of(lift: Lift) -> str:
    """Return the result of an experiment as sentences."""
    arm = _ARMS.get(lift.compares, "in arm")
    more, less = ("reminded", "held out") if lift.is_hold_out else (f"{arm} b", f"{arm} a")
    arms = ", ".join(
        f"{name} {part(sums.ordered, sums.checkouts)} of {sums.checkouts:,} ordered, {sums.open:,} still open"
        for name, sums in ((more, lift.treated), (less, lift.base))
    )
    return f"{lift.experiment}: {arms}. {_conclusion(lift)}"


def _conclusion(lift: Lift) -> str:
    amounts = "".join(
        f" Money per checkout: {each.value:+.2f} {currency} ({each.low:+.2f} to {each.high:+.2f})"
        f"{_percentage(lift.relative_money.get(currency))}."
        for currency, each in lift.money.items()
    )
    match lift.verdict:
        case Verdict.LOPSIDED:
            return (
                f"THE ARMS DO NOT HAVE THEIR SHARES (p = {lift.ratio_p:.1g}): do not believe any difference between"
                " them, and find out why."
            )
        case Verdict.TOO_LITTLE:
            return f"Too little data: {lift.missing:,} more checkouts."
        case Verdict.EARLY:
            return f"A look before the end date, final on {lift.final_on}: lift {points(lift.orders)}.{amounts}"
        case Verdict.FINAL:
            return f"Lift {points(lift.orders)}.{amounts}"


def csv_text(found: Results) -> str:
    """Return the rows and their total as CSV: one line for each currency, with the counts in the first of a row."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_HEADINGS)
    for row in [*found.rows, found.total]:
        for number, currency in enumerate(sorted({*row.money, *row.returned_money}) or [""]):
            amounts = [f"{each.get(currency, Decimal(0)):f}" for each in (row.returned_money, row.money)]
            head = _head(row) if number == 0 else [*[""] * 5]
            tail = _tail(row.lift) if number == 0 else [""] * 5
            writer.writerow([_safe(row.group), *head, currency, *amounts, *tail])
    return out.getvalue()


def _head(row: Row) -> list[str]:
    sums = row.sums
    return [str(each) for each in (sums.mails, sums.checkouts, sums.returned, sums.returned_orders, sums.ordered)]


def _tail(lift: Lift | None) -> list[str]:
    if lift is None:
        return [""] * 5
    shown = lift.orders if lift.verdict in (Verdict.EARLY, Verdict.FINAL) else None
    figures = [""] * 3 if shown is None else [f"{each:.6f}" for each in (shown.value, shown.low, shown.high)]
    return [*figures, lift.verdict.value, str(lift.missing)]


def _safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: the names of shops and coupons are data."""
    return f"'{text}" if text.startswith(_FORMULA) else text
