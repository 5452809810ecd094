"""`recovery export` and `recovery erase`: a person's data, exported or erased on request (GDPR articles 15 and 17)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from recovery.cli.terminal import CommandError, confirm, json_text, load, say, say_json, sentence

if TYPE_CHECKING:
    from recovery.client import Recovery

T = TypeVar("T")

persons = typer.Typer()

OfEmail = Annotated[str, typer.Option("--email", help="The person's address.")]
AtShop = Annotated[str | None, typer.Option("--shop", help="At this shop alone; otherwise at all shops.")]


@persons.command()
def export(
    email: OfEmail,
    shop: AtShop = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a file instead of standard output.")
    ] = None,
) -> None:
    """Export all data stored about a person, as JSON: checkouts, decisions, mails, dead letters, suppressions."""
    found = _with_client(lambda recovery: recovery.export(email, shop=shop))
    if output is None:
        say_json(found)
        return
    try:
        output.write_text(f"{json_text(found)}\n", "utf-8")
    except OSError as exc:
        raise CommandError(f"{output} cannot be written ({exc.strerror}): choose another file.") from exc
    say(f"Wrote {output}: {len(found['checkouts'])} checkouts, {len(found['dead_letters'])} dead letters.")


@persons.command()
def erase(
    email: OfEmail,
    shop: AtShop = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be erased, and erase nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Erase all data stored about a person, and never write to the address again. This cannot be undone.

    Prints what would be erased and asks for confirmation; without a terminal, only --yes erases.
    """
    scope = f"at {shop}" if shop else "at all shops"
    if dry_run or not yes:
        _print_preview(email, scope, _with_client(lambda recovery: recovery.export(email, shop=shop)))
    if dry_run:
        return
    confirm(f"Erase this, and never write to {email} again {scope}?", yes=yes)
    receipt = _with_client(lambda recovery: recovery.erase(email, shop=shop))
    _count("checkouts", receipt.checkouts, "erased")
    _count("dead letters", receipt.dead_letters, "erased")
    say(f"shadows: {receipt.shadows} erased")
    if not receipt.checkouts and not receipt.dead_letters:
        say(f"Nobody was known by {email} {scope}.")
    say("suppressions: the address stays suppressed, under a pseudonym")


def _print_preview(email: str, scope: str, found: Mapping[str, Any]) -> None:
    checkouts, letters = ([each["_id"] for each in found[kind]] for kind in ("checkouts", "dead_letters"))
    if not checkouts and not letters:
        say(f"Nobody is known by {email} {scope}. Only the address would be suppressed.")
        return
    _count("checkouts", checkouts, "would be erased")
    _count("dead letters", letters, "would be erased")
    say("suppressions: the address would be suppressed, under a pseudonym")


def _count(what: str, ids: Sequence[str], done: str) -> None:
    say(f"{what}: {len(ids)} {done}{': ' + ', '.join(ids) if ids else ''}")


def _with_client(ask: "Callable[[Recovery], Awaitable[T]]") -> T:
    from recovery.app.factories import recovery_of

    async def answer() -> T:
        async with recovery_of(load()) as recovery:
            return await ask(recovery)

    try:
        return asyncio.run(answer())
    except ValueError as exc:
        raise CommandError(sentence(exc)) from exc
