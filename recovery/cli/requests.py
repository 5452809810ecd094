"""`recovery requests`: people who ask what is kept of them, as their shop's platform passed it on."""

import asyncio
from typing import Annotated

import typer
from rich.table import Table

from recovery.cli.terminal import Wrong, house, out, written
from recovery.mongo.data_requests import DataRequests, KeptRequest

requests = typer.Typer()


@requests.command(name="requests")
def requests_(
    done: Annotated[
        str | None, typer.Option("--done", metavar="ID", help="Keep that this one was answered, as in shop.example/42.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that were answered, too.")] = False,
) -> None:
    """List people who ask what is kept of them. Answer with what `recovery export` prints, then say --done."""
    if done is not None:
        if not asyncio.run(_done(done)):
            raise Wrong(f"There is no request {done}. `recovery requests` lists them.")
        out.print(f"{done} is answered.", markup=False)
        return
    found = asyncio.run(_found(everything=everything))
    if not found:
        out.print("Nobody waits for an answer.")
        return
    table = Table("request", "asked (UTC)", "address", "orders", "answered (UTC)")
    for each in found:
        table.add_row(each.id, written(each.asked_at), each.address, ", ".join(each.orders), written(each.done_at))
    out.print(table)


async def _found(*, everything: bool) -> list[KeptRequest]:
    async with house() as (_, database, _):
        return await DataRequests(database).find(done=everything)


async def _done(id_: str) -> bool:
    async with house() as (_, database, _):
        return await DataRequests(database).done(id_)
