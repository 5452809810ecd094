"""`recovery requests`: data requests of people, as their shop's platform passed them on."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli.terminal import AsJson, CommandError, format_time, open_database, print_list, say

if TYPE_CHECKING:
    from recovery.mongo.data_requests import KeptRequest

requests = typer.Typer()


@requests.command(name="requests")
def requests_(
    done: Annotated[
        str | None, typer.Option("--done", metavar="ID", help="Mark this request as answered, as in shop.example/42.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Include answered requests.")] = False,
    as_json: AsJson = False,
) -> None:
    """List people who ask for their data. Answer with the output of `recovery export`, then say --done."""
    if done is not None:
        if not asyncio.run(_done(done)):
            raise CommandError(f"There is no request {done}. `recovery requests` lists them.")
        say(f"{done} is answered.")
        return
    found = asyncio.run(_found(everything=everything))
    print_list(
        found,
        ("request", "asked (UTC)", "address", "orders", "answered (UTC)"),
        lambda each: (
            *(each.id, format_time(each.asked_at), each.address),
            *(", ".join(each.orders), format_time(each.done_at)),
        ),
        none="There are no open requests.",
        as_json=as_json,
    )


async def _found(*, everything: bool) -> "list[KeptRequest]":
    from recovery.mongo.data_requests import DataRequests

    async with open_database() as session:
        return await DataRequests(session.database).find(done=everything)


async def _done(id_: str) -> bool:
    from recovery.mongo.data_requests import DataRequests

    async with open_database() as session:
        return await DataRequests(session.database).done(id_)
