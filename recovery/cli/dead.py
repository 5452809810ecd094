"""`recovery dead`: list dead letters, and replay or drop them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli.terminal import (
    AsJson,
    CommandError,
    Session,
    format_time,
    in_words,
    one_of,
    open_database,
    print_list,
    say,
)

if TYPE_CHECKING:
    from recovery.domain.state import Cause
    from recovery.mongo.clock import MongoClock
    from recovery.mongo.collections import Database
    from recovery.mongo.dead_letters import Filter, KeptLetter

dead = typer.Typer(no_args_is_help=True, help="List dead letters (messages given up), and replay or drop them.")


def _causes() -> "type[Cause]":
    from recovery.domain.state import Cause

    return Cause


CAUSES = "dead address, dead message, attempts used up, render error, lost after the dot or invalid document"

Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids as 'list' prints them; none: all.")]
ByCause = Annotated[
    str | None,
    typer.Option("--cause", parser=one_of(_causes), metavar="CAUSE", help=f"Only those with this cause: {CAUSES}."),
]
ByShop = Annotated[str | None, typer.Option("--shop", help="Only those of this shop.")]
ByStep = Annotated[str | None, typer.Option("--step", help="Only messages of this step.")]
ByAge = Annotated[str | None, typer.Option("--older-than", help="Only those older than this: 2h, 1d.")]
Replayed = Annotated[bool, typer.Option("--replayed", help="Also those that were replayed already.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would be done, and do nothing.")]
All = Annotated[bool, typer.Option("--all", help="All of them: required if neither ID nor filter is given.")]


@dead.command(name="list")
def list_(
    cause: ByCause = None,
    shop: ByShop = None,
    step: ByStep = None,
    older_than: ByAge = None,
    replayed: Replayed = False,
    limit: Annotated[int, typer.Option(help="Number of letters at most.", min=1)] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters, the oldest first."""

    from recovery.mongo.dead_letters import DeadLetters

    async def listed() -> "list[KeptLetter]":
        async with open_database() as (_, database, clock):
            which = _filter(clock, None, cause, shop, step, older_than, replayed=replayed)
            return await DeadLetters(database).find(which, limit)

    print_list(
        asyncio.run(listed()),
        ("id", "died (UTC)", "cause", "attempts", "error"),
        lambda letter: (letter.id, format_time(letter.at), letter.cause, letter.attempts, in_words(letter.error)),
        none="There are no dead letters.",
        as_json=as_json,
    )


@dead.command()
def show(letter_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Show one dead letter, with all its errors."""

    from recovery.mongo.dead_letters import DeadLetters, Filter

    async def found() -> "list[KeptLetter]":
        async with open_database() as (_, database, _clock):
            return await DeadLetters(database).find(Filter(ids=(letter_id,), replayed=True))

    letters = asyncio.run(found())
    if not letters:
        raise CommandError(f"There is no dead letter {letter_id}. `recovery dead list` lists them.")
    (letter,) = letters
    say((letter.id, "bold"), f"  {letter.cause}")
    say(f"died {format_time(letter.at)} UTC after {letter.attempts} attempts")
    if letter.replayed_at:
        say(f"replayed {format_time(letter.replayed_at)} UTC")
    for error in letter.errors:
        say(f"{format_time(error['at'])}  {in_words(error['error'])}")
    say((f"The checkout itself: recovery show {letter.checkout}", "dim"))


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
    """Retry messages, as if they were due now, and print the expected result of each.

    The daemon checks each checkout first: nothing is sent if it was ordered or cancelled meanwhile, or if the address
    is suppressed.
    """
    from recovery.mongo.dead_letters import DeadLetters

    async def replayed() -> None:
        async with open_database() as session:
            which = _filter(session.clock, ids, cause, shop, step, older_than, every=all_)
            letters = await _found(session.database, which, ids)
            forecasts = await _forecasts(session, letters, "would" if dry_run else "will")
            count = None if dry_run else await DeadLetters(session.database).replay(letters, session.clock.now())
            for letter in letters:
                say(f"{letter.id}: {forecasts[letter.id]}")
            if count is not None:
                say(f"Replayed {count} of {len(letters)}.")

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
    """Delete dead letters for good. Their checkouts stay."""

    from recovery.mongo.dead_letters import DeadLetters

    async def dropped() -> None:
        async with open_database() as (_, database, clock):
            which = _filter(clock, ids, cause, shop, step, older_than, replayed=replayed, every=all_)
            letters = await _found(database, which, ids)
            if dry_run:
                for letter in letters:
                    say(f"{letter.id}: would be deleted")
            else:
                say(f"Deleted {await DeadLetters(database).drop(letters)}.")

    asyncio.run(dropped())


def _filter(
    clock: "MongoClock",
    ids: list[str] | None,
    cause: str | None,
    shop: str | None,
    step: str | None,
    older_than: str | None,
    *,
    replayed: bool = False,
    every: bool = True,
) -> "Filter":
    from recovery.mongo.dead_letters import Filter
    from recovery.settings import parse_duration

    if not every and not any((ids, cause, shop, step, older_than)):
        raise CommandError("Select letters by id or by a filter, or say --all.")
    try:
        before = clock.now() - parse_duration(older_than) if older_than else None
    except ValueError as exc:
        raise CommandError(f"--older-than {older_than}: {exc}.") from exc
    return Filter(tuple(ids or ()), _causes()(cause) if cause else None, shop, step, before, replayed)


async def _found(database: "Database", which: "Filter", ids: list[str] | None) -> "list[KeptLetter]":
    from recovery.mongo.dead_letters import DeadLetters

    letters = await DeadLetters(database).find(which)
    if unknown := set(ids or ()) - {letter.id for letter in letters}:
        raise CommandError(
            f"There is no such dead letter, or it was replayed already: {', '.join(sorted(unknown))}. "
            "`recovery dead list` lists them."
        )
    return letters


async def _forecasts(session: Session, letters: "Sequence[KeptLetter]", would: str) -> Mapping[str, str]:
    """Return the expected result of a replay of each letter, by its id; `would` is "would" or "will"."""
    from recovery.app.factories import per_shop, suppressions_of
    from recovery.mongo.replays import Replays

    schedules = per_shop(session.settings, lambda own: own.to_schedule())
    replays = Replays(session.database, suppressions_of(session.settings, session.database), schedules)
    expected = await replays.expected(letters, session.clock.now())
    return {id_: each.told(would) for id_, each in expected.items()}
