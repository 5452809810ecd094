"""`recovery results`: what reminders bring, in three figures side by side."""

import asyncio
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recovery.cli.terminal import (
    AsJson,
    CommandError,
    one_of,
    open_database,
    print_table,
    say,
    say_json,
)

if TYPE_CHECKING:
    from enum import Enum

    from recovery.domain.results import Lift, Results, Row

results = typer.Typer()

USUAL_DAYS = 30


def _by() -> "type[Enum]":
    from recovery.domain.results import By

    return By


def _day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise typer.BadParameter(f"{value!r} is not a day such as 2026-12-01.") from None


@results.command(name="results")
def show_results(
    by: Annotated[
        str,
        typer.Option(
            "--by", parser=one_of(_by), metavar="WHAT", help="One row each: shop, step, language, coupon, week."
        ),
    ] = "shop",
    shop: Annotated[list[str] | None, typer.Option("--shop", help="This shop alone; may be repeated.")] = None,
    since: Annotated[
        date | None,
        typer.Option("--since", parser=_day, metavar="DAY", help="First day (UTC); by default 30 days ago."),
    ] = None,
    until: Annotated[
        date | None, typer.Option("--until", parser=_day, metavar="DAY", help="Last day (UTC); by default today.")
    ] = None,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the rows to a file instead, for a spreadsheet.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what reminders bring: who came back by our link, who ordered after a mail, and the lift of a hold-out."""
    found, days = asyncio.run(_found(by, shop or [], since, until))
    if csv is not None:
        _write(csv, found)
    elif as_json:
        say_json(_document(found, days))
    else:
        _print(found, days, by)


async def _found(
    by: str, shops: list[str], since: date | None, until: date | None
) -> "tuple[Results, tuple[date, date]]":
    from recovery.app.factories import terms_of
    from recovery.domain.results import By, results
    from recovery.mongo.results import ResultsReader

    async with open_database() as session:
        now = session.clock.now()
        last = until or now.date()
        first = since or last - timedelta(days=USUAL_DAYS)
        if first > last:
            raise CommandError(f"There are no days from {first} to {last}: --since must not be after --until.")
        cells = await ResultsReader(session.database).cells(first, last, shops)
        return results(cells, By(by), terms_of(session.settings), now), (first, last)


def _print(found: "Results", days: tuple[date, date], by: str) -> None:
    from recovery.domain.results_text import HEADINGS, cells_of, sentence_of

    say(f"Mails of {days[0]} to {days[1]} (UTC)")
    if not found.rows and not found.lifts:
        say("There is nothing yet: results are counted some minutes after the first mail. See docs/results.md.")
        return
    print_table((by, *HEADINGS), ((row.group or "(none)", *cells_of(row)) for row in [*found.rows, found.total]))
    for lift in found.lifts:
        say(sentence_of(lift))


def _write(path: Path, found: "Results") -> None:
    from recovery.domain.results_text import csv_text

    try:
        path.write_text(csv_text(found), "utf-8")
    except OSError as exc:
        raise CommandError(f"{path} cannot be written ({exc.strerror}): choose another file.") from exc
    say(f"Wrote {path}: {len(found.rows)} rows and their total.")


def _document(found: "Results", days: tuple[date, date]) -> dict[str, Any]:
    return {
        "since": days[0].isoformat(),
        "until": days[1].isoformat(),
        "rows": [_row(row) for row in found.rows],
        "total": _row(found.total),
        "experiments": [_lift(lift) for lift in found.lifts],
    }


def _row(row: "Row") -> dict[str, Any]:
    sums = row.sums
    return {
        "group": row.group,
        "mails": sums.mails,
        "checkouts": sums.checkouts,
        "returned": {"checkouts": sums.returned, "orders": sums.returned_orders, "money": _plain(row.returned_money)},
        "ordered": {"checkouts": sums.ordered, "money": _plain(row.money)},
        "lift": row.lift and _lift(row.lift),
    }


def _lift(lift: "Lift") -> dict[str, Any]:
    from dataclasses import asdict

    def arm(sums: Any) -> dict[str, int]:
        return {name: getattr(sums, name) for name in ("checkouts", "returned", "ordered", "open")}

    return {
        "experiment": lift.experiment,
        "treated": arm(lift.treated),
        "base": arm(lift.base),
        "verdict": lift.verdict.value,
        "missing": lift.missing,
        "sample_ratio_p": lift.ratio_p,
        "final_on": lift.final_on and lift.final_on.isoformat(),
        "lift": lift.orders and asdict(lift.orders),
        "money_per_checkout": {currency: asdict(each) for currency, each in lift.money.items()},
        "relative_money_per_checkout": {currency: asdict(each) for currency, each in lift.relative_money.items()},
    }


def _plain(money: Mapping[str, Decimal]) -> dict[str, str]:
    return {currency: f"{amount:f}" for currency, amount in money.items()}
