"""`recovery show`: the state of a checkout, its history, and its upcoming messages."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recovery.cli.terminal import (
    AsJson,
    format_time,
    in_words,
    isoformatted,
    load_checkout,
    open_database,
    print_table,
    say,
    say_json,
    split_key,
)

if TYPE_CHECKING:
    from recovery.domain.outlook import Ahead
    from recovery.domain.state import CheckoutState
    from recovery.domain.suppression import Suppression
    from recovery.mongo.pauses import KeptPause

checkouts = typer.Typer()

NOT_SHOWN = {"claim", "facts"}
"""Fields not in the JSON: the claim with its fencing token; and the facts, which are on the top level, as over HTTP."""


@checkouts.command()
def show(
    checkout: Annotated[str, typer.Argument(metavar="SHOP/ORDER", help="As in shop.example/1042.")],
    as_json: AsJson = False,
) -> None:
    """Show a checkout: its state, its messages, the upcoming ones, and the history with reasons."""
    split_key(checkout)
    state, suppression, ahead, pauses = asyncio.run(_found(checkout))
    if as_json:
        say_json(_document(state, suppression, ahead, pauses))
    else:
        _print(state, suppression, ahead, pauses)


async def _found(checkout: str) -> "tuple[CheckoutState, Suppression | None, list[Ahead], list[KeptPause]]":
    from recovery.app.factories import suppressions_of
    from recovery.domain.checkout import shop_of
    from recovery.domain.outlook import outlook
    from recovery.mongo.pauses import Pauses

    async with open_database() as session:
        state = await load_checkout(session, checkout)
        shop, customer = shop_of(state.id), state.facts.customer
        suppression = None
        if customer is not None:
            address = shop, customer.address
            suppression = (await suppressions_of(session.settings, session.database).of([address])).get(address)
        ahead = outlook(state, session.settings.of(shop).to_schedule(), suppression, session.clock.now())
        pauses = [each for each in await Pauses(session.database).all() if each.shop in (None, shop)]
        return state, suppression, ahead, pauses


def _document(
    state: "CheckoutState", suppression: "Suppression | None", ahead: "list[Ahead]", pauses: "list[KeptPause]"
) -> dict[str, Any]:
    facts = state.facts.model_dump(mode="json")
    known = {
        "sending_until": state.claim and state.claim.until,
        "suppression": suppression and asdict(suppression),
        "ahead": [asdict(each) for each in ahead],
        "sending_paused": [asdict(each) for each in pauses],
    }
    return {**state.model_dump(mode="json", exclude=NOT_SHOWN), **facts, **isoformatted(known)}


def _print(
    state: "CheckoutState", suppression: "Suppression | None", ahead: "list[Ahead]", pauses: "list[KeptPause]"
) -> None:
    facts = state.facts
    say((state.id, "bold"), f"  {state.status}")
    if facts.customer is not None:
        say(f"{facts.customer.name or ''} <{facts.customer.email}>".strip())
    say(_consent(state))
    if suppression is not None:
        say(f"suppressed: {suppression.reason}, since {format_time(suppression.at)}")
    say(f"{len(facts.items)} items, {facts.total or '?'} {facts.currency or ''}")
    times = {"opened": state.opened_at, "touched": state.touched_at, "active": state.active_at}
    times["ordered"] = state.ordered_at
    say("  ".join(f"{what} {format_time(at)}" for what, at in times.items() if at is not None))
    if state.pause is not None:
        say(f"paused {format_time(state.pause.at)}: {state.pause.reason}")
    for pause in pauses:
        what = "all sending" if pause.shop is None else "sending for this shop"
        say(f"{what} is paused since {format_time(pause.at)}: {pause.reason}".rstrip(": "))
    for step, at in state.returned.items():
        say(f"came back {format_time(at)} by the link of {step}")
    for experiment, arm in state.experiments.items():
        say(f"experiment {experiment}: {arm}")
    say(f"next look at {format_time(state.next_at)}" if state.next_at else "at rest")
    for each in ahead:
        say(f"to come: {each.step}, {format_time(each.at)}" if each.at else f"not to come: {each.step}, {each.why}")
    if not ahead:
        say("nothing more is to come")
    if state.messages:
        print_table(
            ("message", "state", "attempts", "due", "sent", "reason or reply"),
            (
                (name, each.state, each.attempts, format_time(each.due_at), format_time(each.sent_at), _why(each))
                for name, each in state.messages.items()
            ),
        )
    rows = ((format_time(past.at), past.decision, in_words(past.reason)) for past in state.history)
    print_table(("when (UTC)", "decision", "reason"), rows)


def _why(message: Any) -> str:
    return in_words(message.reason or message.reply or "")


def _consent(state: "CheckoutState") -> str:
    consent = state.consent
    if consent is None:
        return "consent: unknown"
    answer = {True: "given", False: "refused", None: "withdrawn"}[consent.given]
    return f"consent: {answer} {format_time(consent.at)}, {consent.basis} ({consent.source})"
