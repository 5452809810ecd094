"""`recovery list`: checkouts by shop, status, step and its state, reason, time, or the customer's address."""

import asyncio
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recovery.cli.terminal import (
    AsJson,
    CommandError,
    format_time,
    in_words,
    isoformatted,
    one_of,
    open_database,
    print_table,
    read_time,
    say,
    say_json,
)

if TYPE_CHECKING:
    from recovery.domain.state import CheckoutState
    from recovery.mongo.clock import MongoClock
    from recovery.mongo.listing import Page

listing = typer.Typer()


def _statuses() -> type[Enum]:
    from recovery.domain.state import Status

    return Status


def _states() -> type[Enum]:
    from recovery.domain.state import MessageState

    return MessageState


_TIME = "as in 2026-03-01T14:05:00Z, or how long ago, as in 2d"


@listing.command(name="list")
def list_(
    shop: Annotated[list[str] | None, typer.Option("--shop", help="Only those of this shop; may be repeated.")] = None,
    status: Annotated[
        str | None,
        typer.Option(parser=one_of(_statuses), metavar="STATUS", help="open, ordered, cancelled or finished."),
    ] = None,
    step: Annotated[str | None, typer.Option(help="Only those whose message of this step is in --state.")] = None,
    state: Annotated[
        str | None,
        typer.Option(
            parser=one_of(_states),
            metavar="STATE",
            help="sent, skipped or dead; with --email also waiting or sending.",
        ),
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Only those with this reason of that state.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help=f"Opened then or later: {_TIME}.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help=f"Opened before: {_TIME}.")] = None,
    email: Annotated[str | None, typer.Option(help="Only those of the customer with this address.")] = None,
    limit: Annotated[int, typer.Option(help="Number of checkouts at most.", min=1, max=500)] = 50,
    after: Annotated[str | None, typer.Option(metavar="CURSOR", help="Go on where the last page ended.")] = None,
    as_json: AsJson = False,
) -> None:
    """List checkouts, the newest first. It needs --shop or --email."""

    async def found() -> "Page":
        from recovery.app.factories import recovery_of
        from recovery.domain.state import MessageState, Status
        from recovery.mongo.listing import BadFilter

        async with open_database() as session:
            try:
                return await recovery_of(session.settings, session.database.client).list(
                    shop=shop,
                    status=Status(status) if status else None,
                    step=step,
                    state=MessageState(state) if state else None,
                    reason=reason,
                    since=_time("--since", since, session.clock),
                    until=_time("--until", until, session.clock),
                    email=email,
                    limit=limit,
                    after=after,
                )
            except BadFilter as exc:
                raise CommandError(f"--{exc.field}: {exc.message}.") from exc
            except ValueError as exc:
                raise CommandError(f"--email: {exc}.") from exc

    page = asyncio.run(found())
    if as_json:
        say_json({"checkouts": [_document(each) for each in page.checkouts], **_rest_of(page)})
    else:
        _print(page)


def _time(option: str, given: str | None, clock: "MongoClock") -> datetime | None:
    return None if given is None else read_time(option, given, lambda ago: clock.now() - ago, _TIME)


def _document(state: "CheckoutState") -> dict[str, Any]:
    from recovery.cli.checkouts import NOT_SHOWN

    known = {"sending_until": state.claim and state.claim.until}
    facts = state.facts.model_dump(mode="json")
    return {**state.model_dump(mode="json", exclude=NOT_SHOWN | {"history"}), **facts, **isoformatted(known)}


def _rest_of(page: "Page") -> dict[str, Any]:
    return {"unreadable": list(page.unreadable), "next": page.next}


def _print(page: "Page") -> None:
    if page.checkouts:
        print_table(
            ("checkout", "opened (UTC)", "status", "customer", "messages"),
            (
                (each.id, format_time(each.opened_at), each.status, _customer(each), _messages(each))
                for each in page.checkouts
            ),
        )
    elif not page.unreadable:
        say("No checkouts match.")
    for id_ in page.unreadable:
        say(f"{id_} cannot be read: it is damaged, or of a newer version")
    if page.next is not None:
        say((f"There are more: add --after {page.next}", "dim"))


def _customer(state: "CheckoutState") -> str:
    return state.facts.customer.email if state.facts.customer is not None else ""


def _messages(state: "CheckoutState") -> str:
    return ", ".join(
        f"{name} {each.state}" + (f": {in_words(each.reason)}" if each.reason else "")
        for name, each in state.messages.items()
    )
