"""`recovery requests`: people who ask what is kept of them, as their shop's platform passed it on."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli.terminal import AsJson, CommandError, house, isoformatted, print_table, say, say_json, written

if TYPE_CHECKING:
    from recovery.mongo.data_requests import KeptRequest

requests = typer.Typer()


@requests.command(name="requests")
def requests_(
    done: Annotated[
        str | None, typer.Option("--done", metavar="ID", help="Keep that this one was answered, as in shop.example/42.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that were answered, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List people who ask what is kept of them. Answer with what `recovery export` prints, then say --done."""
    if done is not None:
        if not asyncio.run(_done(done)):
            raise CommandError(f"There is no request {done}. `recovery requests` lists them.")
        say(f"{done} is answered.")
        return
    found = asyncio.run(_found(everything=everything))
    if as_json:
        say_json([isoformatted(asdict(each)) for each in found])
    elif found:
        print_table(
            ("request", "asked (UTC)", "address", "orders", "answered (UTC)"),
            (
                (each.id, written(each.asked_at), each.address, ", ".join(each.orders), written(each.done_at))
                for each in found
            ),
        )
    else:
        say("Nobody waits for an answer.")


async def _found(*, everything: bool) -> "list[KeptRequest]":
    from recovery.mongo.data_requests import DataRequests

    async with house() as parts:
        return await DataRequests(parts.database).find(done=everything)


async def _done(id_: str) -> bool:
    from recovery.mongo.data_requests import DataRequests

    async with house() as parts:
        return await DataRequests(parts.database).done(id_)
