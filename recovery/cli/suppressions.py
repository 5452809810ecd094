"""`recovery suppress`: manage the suppression list, of addresses that get no more mail."""

import asyncio
import csv
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from recovery.cli.terminal import (
    AsJson,
    CommandError,
    confirm,
    format_time,
    one_of,
    open_database,
    print_list,
    say,
)

if TYPE_CHECKING:
    from rich.progress import Progress

    from recovery.cli.address_lists import RejectedLine
    from recovery.domain.suppression import SuppressionReason
    from recovery.mongo.suppressions import KeptSuppression

suppress = typer.Typer(no_args_is_help=True, help="Manage the suppression list. It stores pseudonyms, no addresses.")

BATCH = 1000
MOST_LISTED = 20
"""Rejected lines printed one by one: in a file of another format, every line is wrong."""

REASONS = "soft bounces, unsubscribed, shop, complaint, erased or hard bounce"

TIMES = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"]


def _reasons() -> "type[SuppressionReason]":
    from recovery.domain.suppression import SuppressionReason

    return SuppressionReason


def _reason(given: str | None) -> "SuppressionReason | None":
    return None if given is None else _reasons()(given)


Emails = Annotated[list[str], typer.Argument(metavar="EMAIL...", help="Addresses.", show_default=False)]
ForShop = Annotated[str | None, typer.Option("--shop", help="For this shop alone; otherwise for all shops.")]
OfShop = Annotated[str | None, typer.Option("--shop", help="Only those of this shop.")]
For = Annotated[
    str,
    typer.Option(
        "--reason",
        parser=one_of(_reasons),
        metavar="REASON",
        help=f"Why: {REASONS}. A hard bounce is always for all shops.",
    ),
]
ByReply = Annotated[
    str | None,
    typer.Option("--reply", metavar="TEXT", help="Only those whose source, a relay's reply, has this text."),
]
ByReason = Annotated[
    str | None,
    typer.Option("--reason", parser=one_of(_reasons), metavar="REASON", help=f"Only those for this reason: {REASONS}."),
]


@suppress.command()
def add(emails: Emails, shop: ForShop = None, reason: For = "shop") -> None:
    """Suppress these addresses. With 'hard bounce' as the reason, they get no order confirmations either."""
    from recovery.app.factories import pseudonyms_of
    from recovery.mongo.suppressions import Suppressions

    addresses = _checked(emails, shop)

    async def added() -> int:
        async with open_database() as (settings, database, _):
            suppressions = Suppressions(database, pseudonyms_of(settings))
            return sum(
                [await suppressions.add(email, _reasons()(reason), shop=shop, source="operator") for email in addresses]
            )

    new = asyncio.run(added())
    say(f"Added {new} of {len(addresses)}{_known(len(addresses) - new)}.")


@suppress.command()
def remove(emails: Emails, shop: ForShop = None) -> None:
    """Lift the suppression of these addresses for this shop or, without one, the one for all shops."""
    from recovery.app.factories import pseudonyms_of
    from recovery.mongo.suppressions import Suppressions

    addresses = _checked(emails, shop)

    async def removed() -> list[str]:
        async with open_database() as (settings, database, _):
            suppressions = Suppressions(database, pseudonyms_of(settings))
            return [email for email in addresses if await suppressions.remove(email, shop=shop)]

    lifted = asyncio.run(removed())
    for email in addresses:
        if email not in lifted:
            scope = f"for {shop} alone" if shop else "for all shops; name a --shop to lift it there"
            say(f"{email} was not suppressed {scope}.")
    say(f"Removed {len(lifted)} of {len(addresses)}.")


@suppress.command(name="list")
def list_(
    shop: OfShop = None,
    reason: ByReason = None,
    reply: ByReply = None,
    limit: Annotated[int, typer.Option(help="Number of entries at most.", min=1)] = 100,
    offset: Annotated[int, typer.Option(help="Number of the newest entries to skip.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """List suppressions, the newest first, by pseudonym: the addresses themselves are not stored."""
    from recovery.app.factories import pseudonyms_of
    from recovery.mongo.suppressions import Suppressions, Which

    async def listed() -> "list[KeptSuppression]":
        async with open_database() as (settings, database, _):
            suppressions = Suppressions(database, pseudonyms_of(settings))
            found = suppressions.each(Which(shop, _reason(reason), reply), newest_first=True, limit=limit, skip=offset)
            return [kept async for kept in found]

    print_list(
        asyncio.run(listed()),
        ("shop", "pseudonym", "reason", "since (UTC)", "until (UTC)", "source"),
        lambda each: (
            *(each.shop or "all", each.pseudonym, each.reason),
            *(format_time(each.at), format_time(each.until), each.source),
        ),
        none="Nobody is suppressed.",
        as_json=as_json,
    )


@suppress.command()
def lift(
    since: Annotated[datetime | None, typer.Option(formats=TIMES, help="Only those since this time, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(formats=TIMES, help="Only those before this time, UTC.")] = None,
    reply: ByReply = None,
    reason: ByReason = None,
    shop: OfShop = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print how many there are.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Lift many suppressions, as after a relay rejected valid addresses: by time, by its reply, by reason."""
    from recovery.app.factories import pseudonyms_of
    from recovery.mongo.suppressions import Suppressions, Which

    if not (since or until or reply):
        raise CommandError("Select by --since, --until or --reply. `recovery suppress list` lists suppressions.")
    which = Which(shop, _reason(reason), reply, _utc(since), _utc(until))

    async def lifted(*, dry: bool) -> int:
        async with open_database() as (settings, database, _):
            return await Suppressions(database, pseudonyms_of(settings)).lift(which, dry_run=dry)

    count = asyncio.run(lifted(dry=True))
    if dry_run or not count:
        say(f"{count} suppressions match.")
        return
    confirm(f"Lift {count} suppressions, so that these people are written to again?", yes=yes)
    say(f"Lifted {asyncio.run(lifted(dry=False))}.")


def _utc(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None else None


@suppress.command(name="export")
def export_(
    output: Annotated[Path | None, typer.Option("--output", "-o", help="A file; otherwise standard output.")] = None,
    shop: OfShop = None,
    reason: ByReason = None,
) -> None:
    """Write a CSV of pseudonyms. 'import' reads it, if suppressions.keys are the same.

    A text that a spreadsheet would take for a formula gets an apostrophe in front, which 'import' removes.
    """
    from recovery.app.factories import pseudonyms_of
    from recovery.cli.address_lists import COLUMNS, row
    from recovery.mongo.suppressions import Suppressions, Which

    async def exported() -> int:
        async with open_database() as (settings, database, _):
            suppressions = Suppressions(database, pseudonyms_of(settings))
            with _written_to(output) as file, _counting("Exporting") as count:
                rows = csv.writer(file)
                rows.writerow(COLUMNS)
                exported = 0
                async for kept in suppressions.each(Which(shop, _reason(reason))):
                    rows.writerow(row(kept))
                    exported += 1
                    count.update(count.task_ids[0], completed=exported)
                return exported

    count = asyncio.run(exported())
    if output is not None:
        say(f"Wrote {count} to {output}.")


@suppress.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="One address per line, CSV with a column 'email', or our own export.")],
    shop: ForShop = None,
    reason: For = "shop",
) -> None:
    """Import a suppression list. Existing entries stay unchanged; the addresses themselves are not stored."""
    _checked((), shop)
    result = asyncio.run(_import(file, shop, reason))
    for each in result.listed:
        say(f"line {each.line}: {each.why}")
    if result.rejected > len(result.listed):
        say(f"and {result.rejected - len(result.listed)} more lines")
    say(f"Imported {result.taken}{_known(result.taken - result.new)}; rejected {result.rejected}.")
    if result.rejected:
        raise typer.Exit(1)


@dataclass(slots=True)
class _Imported:
    taken: int = 0
    new: int = 0
    rejected: int = 0
    listed: "list[RejectedLine]" = field(default_factory=list)


async def _import(file: Path, shop: str | None, reason: str) -> _Imported:
    from recovery.app.factories import pseudonyms_of
    from recovery.cli.address_lists import ListReader, RejectedLine
    from recovery.mongo.suppressions import NewSuppression, Suppressions

    result = _Imported()
    async with open_database() as (settings, database, _):
        pseudonyms = pseudonyms_of(settings)
        suppressions = Suppressions(database, pseudonyms)
        with _read_from(file) as lines:
            found = ListReader(pseudonyms, shop, _reasons()(reason), "import").read(lines)
            while batch := list(islice(found, BATCH)):
                rejected = [each for each in batch if isinstance(each, RejectedLine)]
                good = [each for each in batch if isinstance(each, NewSuppression)]
                result.new += await suppressions.keep(good)
                result.taken += len(good)
                result.rejected += len(rejected)
                result.listed += rejected[: MOST_LISTED - len(result.listed)]
    return result


def _known(count: int) -> str:
    return f", {count} of them existed already" if count else ""


def _checked(emails: Iterable[str], shop: str | None) -> list[str]:
    from recovery.cli.address_lists import is_shop, valid_address

    addresses = []
    for email in emails:
        try:
            addresses.append(valid_address(email))
        except ValueError:
            raise CommandError(f"{email!r} is not a valid e-mail address.") from None
    if shop is not None and not is_shop(shop):
        raise CommandError(f"{shop!r} is not a valid shop key: it has spaces or slashes in it.")
    return addresses


@contextmanager
def _read_from(path: Path) -> Iterator[TextIO]:
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    try:
        with progress.open(
            path,
            "r",
            encoding="utf-8-sig",
            newline="",
            console=console,
            transient=True,
            disable=not console.is_terminal,
            description="Importing",
        ) as lines:
            yield lines
    except OSError as exc:
        raise CommandError(f"{path} cannot be read: {exc.strerror}.") from exc
    except UnicodeDecodeError as exc:
        raise CommandError(f"{path} is not UTF-8 text: save it as UTF-8, and import it again.") from exc


@contextmanager
def _written_to(path: Path | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            yield file
    except OSError as exc:
        raise CommandError(f"{path} cannot be written ({exc.strerror}): choose another file.") from exc


@contextmanager
def _counting(what: str) -> "Iterator[Progress]":
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    columns = TextColumn("{task.description}"), TextColumn("{task.completed}")
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield progress
