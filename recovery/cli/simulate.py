"""`recovery simulate`: a schedule, tried over kept checkouts or a drawn population before it is used."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recovery.cli.terminal import AsJson, CommandError, load, open_database, say_json

if TYPE_CHECKING:
    from recovery.domain.simulation import Comparison

simulate = typer.Typer()

MOST_DRAWN = 10_000_000
LONGEST = timedelta(days=366)

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""

UNKNOWN = (
    "Of a kept checkout only its last change is known: reports before it are not replayed.",
    "The orders are those that came while the schedule in force sent its mails: what other mails would have done to "
    "them is not known.",
    "Here every mail arrives at once: bounces, retries, warm-up and a relay's limits are not simulated.",
)
"""What a simulation cannot know."""


@simulate.command(name="simulate")
def simulate_(
    schedule: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="TOML with [schedule], [confirmation], [experiments.<name>]: only what is to change."
        ),
    ],
    shop: Annotated[str | None, typer.Option(help="Only the checkouts of this shop, by its own schedule.")] = None,
    since: Annotated[str, typer.Option(metavar="DURATION", help="Those opened within this time.")] = "30d",
    drawn: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_DRAWN, help="Draw so many checkouts instead, and read no database."),
    ] = None,
    seed: Annotated[int, typer.Option(help="With --drawn: another seed draws other checkouts.")] = 1,
    differences: Annotated[
        int, typer.Option(min=0, max=1000, help="Number of checkouts to list that come out differently, at most.")
    ] = 10,
    as_json: AsJson = False,
) -> None:
    """Try a schedule beside the one in force: how many mails, when, and how many are saved. It writes nothing."""
    from recovery.cli.simulated import as_document, print_comparison
    from recovery.settings.proposed import proposal_in

    tables, period, note = proposal_in(schedule), _period(since), None
    try:
        if drawn is None:
            compared, note = asyncio.run(_kept(tables, f"set in {schedule}", shop, period, differences))
        else:
            compared = _drawn(tables, f"set in {schedule}", shop, drawn, seed, period, differences)
    except KeyboardInterrupt:
        typer.echo("Stopped. Nothing was written.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    known = [] if drawn is not None else [UNKNOWN[0], *([note] if note else [])]
    notes = [*known, *(UNKNOWN[1:] if drawn is None else UNKNOWN[2:])]
    if as_json:
        say_json({**as_document(compared), "notes": notes})
    else:
        print_comparison(compared, notes)


def _period(since: str) -> timedelta:
    from recovery.settings import parse_duration

    try:
        period = parse_duration(since)
    except (ValueError, OverflowError) as exc:
        raise CommandError(f"--since {since}: give a duration, as in 30d.") from exc
    if not timedelta(days=1) <= period <= LONGEST:
        raise CommandError(f"--since {since}: give a time of 1 to {LONGEST.days} days.")
    return period


async def _kept(
    tables: dict[str, Any], origin: str, shop: str | None, since: timedelta, most: int
) -> tuple["Comparison", str | None]:
    from recovery.app.simulation import Kept, not_known, schedules_of, simulate_kept

    async with open_database() as session:
        now = session.clock.now()
        schedules = schedules_of(session.settings, tables, origin, shop)
        which = Kept(shop, now - since, now)
        compared = await simulate_kept(session.database, session.settings, schedules, which, most)
        return compared, not_known(session.settings, since, shop)


def _drawn(
    tables: dict[str, Any], origin: str, shop: str | None, count: int, seed: int, since: timedelta, most: int
) -> "Comparison":
    from concurrent.futures.process import BrokenProcessPool

    from recovery.app.drawn_simulation import simulate_drawn
    from recovery.app.shards import shards_of
    from recovery.app.simulation import schedules_of

    schedules = schedules_of(load(), tables, origin, shop or "").of_shop("")
    with _progress(count) as done:
        try:
            return simulate_drawn(schedules, shards_of(count, seed, since.days), most, shop=shop or "", done=done)
        except BrokenProcessPool as exc:
            raise CommandError(
                "The simulation was given up, since one of its processes was ended from outside, perhaps for want of "
                "memory: try it with fewer checkouts."
            ) from exc


@contextmanager
def _progress(count: int) -> Iterator[Callable[[int], None]]:
    """Return a context manager with a progress bar, on a terminal only: call what it yields with each size done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = TextColumn("Replaying"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as shown:
        task = shown.add_task("", total=count)
        yield lambda size: shown.advance(task, size)
