"""`recovery dead`: look into what could not be sent, and replay or drop it."""

import asyncio
from typing import Annotated

import typer
from rich.table import Table

from recovery.checkout import Cause, CheckoutState, Message
from recovery.cli.terminal import Wrong, house, out, written
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import Database
from recovery.mongo.dead_letters import DeadLetters, Filter, KeptLetter
from recovery.schedule import Rest, Schedule, Send, Wait, decide
from recovery.settings import parse_duration

dead = typer.Typer(no_args_is_help=True, help="Look into what could not be sent, and replay or drop it.")

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Letters as 'list' names them; none: all.")]
ByCause = Annotated[Cause | None, typer.Option("--cause", help="Only those that died of this.")]
ByShop = Annotated[str | None, typer.Option("--shop", help="Only those of this shop.")]
ByStep = Annotated[str | None, typer.Option("--step", help="Only messages of this step.")]
ByAge = Annotated[str | None, typer.Option("--older-than", help="Only those that died longer ago: 2h, 1d.")]
Replayed = Annotated[bool, typer.Option("--replayed", help="Also those that were replayed already.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
All = Annotated[bool, typer.Option("--all", help="Yes, all of them: needed where neither ID nor filter is given.")]


@dead.command(name="list")
def list_(
    cause: ByCause = None,
    shop: ByShop = None,
    step: ByStep = None,
    older_than: ByAge = None,
    replayed: Replayed = False,
    limit: Annotated[int, typer.Option(help="At the most so many.", min=1)] = 100,
) -> None:
    """List dead letters, the oldest first."""

    async def listed() -> list[KeptLetter]:
        async with house() as (_, database, clock):
            which = _filter(clock, None, cause, shop, step, older_than, replayed=replayed)
            return await DeadLetters(database).find(which, limit)

    letters = asyncio.run(listed())
    table = Table("id", "died (UTC)", "cause", "attempts", "error")
    for letter in letters:
        table.add_row(letter.id, written(letter.at), letter.cause, str(letter.attempts), letter.error)
    out.print(table if letters else "There are no dead letters.")


@dead.command()
def show(letter_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show one dead letter, with all its errors."""

    async def found() -> list[KeptLetter]:
        async with house() as (_, database, _clock):
            return await DeadLetters(database).find(Filter(ids=(letter_id,), replayed=True))

    letters = asyncio.run(found())
    if not letters:
        raise Wrong(f"There is no dead letter {letter_id}.")
    (letter,) = letters
    out.print(f"[bold]{letter.id}[/bold]  {letter.cause}", soft_wrap=True)
    out.print(f"died {written(letter.at)} UTC after {letter.attempts} attempts")
    if letter.replayed_at:
        out.print(f"replayed {written(letter.replayed_at)} UTC")
    for error in letter.errors:
        out.print(f"{written(error['at'])}  {error['error']}", markup=False, soft_wrap=True)
    out.print(f"[dim]The checkout itself: recovery show {letter.checkout}[/dim]", soft_wrap=True)


@dead.command()
def replay(
    ids: Ids = None,
    cause: ByCause = None,
    shop: ByShop = None,
    step: ByStep = None,
    older_than: ByAge = None,
    all_: All = False,
    dry_run: DryRun = False,
) -> None:
    """Have messages tried once more, as if they were due now.

    The daemon looks at each checkout first: who has ordered or cancelled in the meantime is not written to.
    """

    async def replayed() -> None:
        async with house() as (settings, database, clock):
            which = _filter(clock, ids, cause, shop, step, older_than, every=all_)
            letters = await _found(database, which, ids)
            if not dry_run:
                out.print(f"Replayed {await DeadLetters(database).replay(letters, clock.now())} of {len(letters)}.")
                return
            states, _ = await MongoCheckouts(database).load([letter.checkout for letter in letters])
            kept = {state.id: state for state in states}
            for letter in letters:
                said = _foretold(letter, kept.get(letter.checkout), settings.to_schedule(), clock)
                out.print(f"{letter.id}: {said}", markup=False, soft_wrap=True)

    asyncio.run(replayed())


@dead.command()
def drop(
    ids: Ids = None,
    cause: ByCause = None,
    shop: ByShop = None,
    step: ByStep = None,
    older_than: ByAge = None,
    replayed: Replayed = False,
    all_: All = False,
    dry_run: DryRun = False,
) -> None:
    """Delete dead letters for good. Their checkouts and what is known of them stay."""

    async def dropped() -> None:
        async with house() as (_, database, clock):
            which = _filter(clock, ids, cause, shop, step, older_than, replayed=replayed, every=all_)
            letters = await _found(database, which, ids)
            if dry_run:
                for letter in letters:
                    out.print(f"{letter.id}: would be deleted", markup=False, soft_wrap=True)
            else:
                out.print(f"Deleted {await DeadLetters(database).drop(letters)}.")

    asyncio.run(dropped())


def _filter(
    clock: MongoClock,
    ids: list[str] | None,
    cause: Cause | None,
    shop: str | None,
    step: str | None,
    older_than: str | None,
    *,
    replayed: bool = False,
    every: bool = True,
) -> Filter:
    if not every and not any((ids, cause, shop, step, older_than)):
        raise Wrong("Name letters by their ids or by a filter, or say --all.")
    try:
        before = clock.now() - parse_duration(older_than) if older_than else None
    except ValueError as exc:
        raise Wrong(f"--older-than {older_than}: {exc}.") from exc
    return Filter(tuple(ids or ()), cause, shop, step, before, replayed)


async def _found(database: Database, which: Filter, ids: list[str] | None) -> list[KeptLetter]:
    letters = await DeadLetters(database).find(which)
    if unknown := set(ids or ()) - {letter.id for letter in letters}:
        raise Wrong(f"There is no such dead letter, or it was replayed already: {', '.join(sorted(unknown))}.")
    return letters


def _foretold(letter: KeptLetter, state: CheckoutState | None, schedule: Schedule, clock: MongoClock) -> str:
    """Return what a look would decide if this letter were replayed now."""
    if state is None:
        return "its checkout is gone, or still cannot be read"
    if letter.step is None:
        return "its checkout would be looked at"
    now = clock.now()
    message = Message(replayed_at=now)
    match decide(state.model_copy(update={"messages": {**state.messages, letter.step: message}}), schedule, now):
        case Send(step=step):
            return f"would send {step.name}"
        case Wait(until=until, reason=reason):
            return f"would wait until {written(until)} UTC: {reason}"
        case Rest(reason=reason):
            return f"would not be sent: {reason}"
