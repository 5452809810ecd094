"""`recovery pause`, `resume` and `pauses`: stop the messages of a shop, or of all, and go on."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli.terminal import AsJson, CommandError, Session, format_time, open_database, print_list, say

if TYPE_CHECKING:
    from recovery.mongo.pauses import KeptPause

pauses = typer.Typer()

Shop = Annotated[str | None, typer.Option(metavar="SHOP", help="Only this shop; all shops if left out.")]


@pauses.command()
def pause(
    shop: Shop = None,
    reason: Annotated[str, typer.Option(help="Why, for whoever finds it paused.")] = "",
    as_json: AsJson = False,
) -> None:
    """Pause sending: no message of the shop, or of any shop, is sent until `recovery resume`."""
    _print(asyncio.run(_paused(shop, reason)), as_json=as_json)


@pauses.command()
def resume(shop: Shop = None, as_json: AsJson = False) -> None:
    """Resume sending after a pause: of the shop that was paused, or of all."""
    found, was_paused = asyncio.run(_resumed(shop))
    if not was_paused and not as_json:
        say("All sending was not paused." if shop is None else f"{shop} was not paused.")
    _print(found, as_json=as_json)


@pauses.command(name="pauses")
def pauses_(as_json: AsJson = False) -> None:
    """List what is paused: since when, by whom, and why."""
    _print(asyncio.run(_found()), as_json=as_json)


async def _paused(shop: str | None, reason: str) -> "list[KeptPause]":
    from recovery.mongo.pauses import Pauses

    async with open_database() as session:
        pauses = Pauses(session.database)
        if shop is not None:
            await _must_be_known(session, shop)
        await pauses.pause(shop, _by(), reason, session.clock.now())
        return await pauses.all()


async def _must_be_known(session: Session, shop: str) -> None:
    """Raise `CommandError` for a shop of which there is nothing: its name is misspelt, and nothing would stop."""
    from recovery.mongo.collections import CHECKOUTS

    if shop in session.settings.shops or await session.database[CHECKOUTS].find_one({"shop": shop}, {"_id": 1}):
        return
    raise CommandError(
        f"There is no shop {shop!r}, in the settings or among the checkouts: see `recovery check --shops`."
    )


async def _resumed(shop: str | None) -> "tuple[list[KeptPause], bool]":
    from recovery.mongo.pauses import Pauses

    async with open_database() as session:
        pauses = Pauses(session.database)
        try:
            was_paused = await pauses.resume(shop)
        except ValueError as exc:
            raise CommandError(f"Cannot resume: {exc}.") from exc
        return await pauses.all(), was_paused


async def _found() -> "list[KeptPause]":
    from recovery.mongo.pauses import Pauses

    async with open_database() as session:
        return await Pauses(session.database).all()


def _by() -> str:
    """Return the name of the caller, as far as the system says."""
    import getpass

    try:
        return f"{getpass.getuser()}, command line"
    except (KeyError, OSError):  # a container may give a user that has no name
        return "command line"


def _print(found: "list[KeptPause]", *, as_json: bool) -> None:
    """Print pauses; in JSON, `shop` is null for all sending."""
    print_list(
        found,
        ("paused", "since (UTC)", "by", "reason"),
        lambda each: (each.shop or "all sending", format_time(each.at), each.by, each.reason),
        none="Nothing is paused.",
        as_json=as_json,
    )
