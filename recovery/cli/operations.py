"""`recovery send-now`, `skip` and `postpone`: what an operator does with the next message of a checkout."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from recovery.cli.terminal import CommandError, format_time, load_checkout, open_database, read_time, say

if TYPE_CHECKING:
    from recovery.domain.operations import Change, Operator
    from recovery.domain.schedule import Schedule
    from recovery.domain.state import CheckoutState

operations = typer.Typer()

_HOW_LONG = "or in how long, as in 2d"

Checkout = Annotated[str, typer.Argument(metavar="SHOP/ORDER", help="As in shop.example/1042.")]
OfStep = Annotated[str | None, typer.Option("--step", help="Only if this message is the next one.")]


@operations.command()
def send_now(checkout: Checkout, step: OfStep = None) -> None:
    """Make the next message of a checkout due now.

    The daemon decides as always: consent, suppressions, quiet hours and the gap between mails hold for it.
    """
    from recovery.domain import operations as domain

    _change(checkout, lambda state, schedule, _operator, now: domain.send_now(state, schedule, step, now))


@operations.command()
def skip(
    checkout: Checkout,
    step: Annotated[str | None, typer.Option("--step", help="This message; otherwise the next one.")] = None,
) -> None:
    """Skip a message of a checkout: it will never be sent."""
    from recovery.domain import operations as domain

    _change(checkout, lambda state, schedule, operator, now: domain.skip(state, schedule, step, operator, now))


@operations.command()
def postpone(
    checkout: Checkout,
    until: Annotated[
        str, typer.Option("--until", metavar="TIME", help="As in 2026-03-01T14:05:00Z, or in how long, as in 2d.")
    ],
    step: OfStep = None,
) -> None:
    """Postpone the next message of a checkout."""
    from recovery.domain import operations as domain

    _change(
        checkout,
        lambda state, schedule, operator, now: domain.postpone(
            state, schedule, step, read_time("--until", until, now.__add__, _HOW_LONG), operator, now
        ),
    )


def _change(checkout: str, decide: "Callable[[CheckoutState, Schedule, Operator, datetime], Change]") -> None:
    """Change a checkout, and print what is then to come. Raises `CommandError`, `NotPossible`."""

    async def changed() -> None:
        from recovery.domain.checkout import shop_of
        from recovery.domain.operations import Operator
        from recovery.domain.outlook import outlook
        from recovery.mongo.operations import Operations

        async with open_database() as session:
            state = await load_checkout(session, checkout)
            schedule = session.settings.of(shop_of(state.id)).to_schedule()
            operator, now = Operator("an operator", "on the command line"), session.clock.now()
            after = await Operations(session.database).change(
                state.id, lambda seen: decide(seen, schedule, operator, now), operator, now
            )
            if after is None:
                raise CommandError(f"There is no checkout {checkout} any more: it was deleted meanwhile.")
            say((state.id, "bold"))
            for each in outlook(after, schedule, None, now):
                say(
                    f"to come: {each.step}, {format_time(each.at)}"
                    if each.at
                    else f"not to come: {each.step}, {each.why}"
                )

    asyncio.run(changed())
