"""`recovery export` and `recovery erase`: what a person may ask of a shop."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from recovery.cli.terminal import Wrong, load, out
from recovery.client import Recovery
from recovery.parts import recovery_of

T = TypeVar("T")

persons = typer.Typer()

OfEmail = Annotated[str, typer.Option("--email", help="The person's address.")]
AtShop = Annotated[str | None, typer.Option("--shop", help="At this shop alone; otherwise at all shops.")]


@persons.command()
def export(
    email: OfEmail,
    shop: AtShop = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a file instead of to the screen.")
    ] = None,
) -> None:
    """Export all that is kept of a person, as JSON: checkouts, decisions, mails, dead letters, suppressions."""
    found = _asked(lambda recovery: recovery.export(email, shop=shop))
    text = json.dumps(found, ensure_ascii=False, indent=2)
    if output is None:
        out.print(text, markup=False, soft_wrap=True)
        return
    try:
        output.write_text(f"{text}\n", "utf-8")
    except OSError as exc:
        raise Wrong(f"{output} cannot be written: {exc.strerror}.") from exc
    out.print(f"Wrote {output}: {len(found['checkouts'])} checkouts, {len(found['dead_letters'])} dead letters.")


@persons.command()
def erase(email: OfEmail, shop: AtShop = None) -> None:
    """Erase all that is kept of a person, and never write to the address again. There is no way back."""
    receipt = _asked(lambda recovery: recovery.erase(email, shop=shop))
    for what, ids in (("checkouts", receipt.checkouts), ("dead letters", receipt.dead_letters)):
        out.print(f"{what}: {len(ids)} erased{': ' + ', '.join(ids) if ids else ''}", markup=False, soft_wrap=True)
    out.print(f"shadows: {receipt.shadows} erased")
    out.print("suppressions: the address stays suppressed, under a pseudonym")


def _asked(ask: Callable[[Recovery], Awaitable[T]]) -> T:
    async def answer() -> T:
        async with recovery_of(load()) as recovery:
            return await ask(recovery)

    try:
        return asyncio.run(answer())
    except ValueError as exc:
        raise Wrong(f"{exc}.") from exc
