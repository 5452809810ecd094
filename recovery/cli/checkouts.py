"""`recovery show`: where a checkout stands, why, and what is still to come."""

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recovery.cli.terminal import (
    AsJson,
    house,
    in_words,
    isoformatted,
    kept,
    parted,
    print_table,
    say,
    say_json,
    written,
)

if TYPE_CHECKING:
    from recovery.cli.outlook import Ahead
    from recovery.domain.state import CheckoutState
    from recovery.domain.suppression import Suppression

checkouts = typer.Typer()

NOT_SHOWN = {"claim", "facts"}
"""What is not for programs: who is sending by which token. The facts stand beside all else, as over HTTP."""


@checkouts.command()
def show(
    checkout: Annotated[str, typer.Argument(metavar="SHOP/ORDER", help="As in shop.example/1042.")],
    as_json: AsJson = False,
) -> None:
    """Show a checkout: where it stands, its messages, what is still to come, and why everything happened."""
    parted(checkout)
    state, suppression, ahead = asyncio.run(_found(checkout))
    if as_json:
        say_json(_document(state, suppression, ahead))
    else:
        _print(state, suppression, ahead)


async def _found(checkout: str) -> "tuple[CheckoutState, Suppression | None, list[Ahead]]":
    from recovery.app.factories import suppressions_of
    from recovery.cli.outlook import outlook
    from recovery.domain.checkout import shop_of
    from recovery.domain.fields import normalised

    async with house() as parts:
        state = await kept(parts, checkout)
        shop, customer = shop_of(state.id), state.facts.customer
        suppression = None
        if customer is not None:
            address = shop, normalised(customer.email)
            suppression = (await suppressions_of(parts.settings, parts.database).of([address])).get(address)
        ahead = outlook(state, parts.settings.of(shop).to_schedule(), suppression, parts.clock.now())
        return state, suppression, ahead


def _document(state: "CheckoutState", suppression: "Suppression | None", ahead: "list[Ahead]") -> dict[str, Any]:
    facts = state.facts.model_dump(mode="json")
    known = {
        "sending_until": state.claim and state.claim.until,
        "suppression": suppression and asdict(suppression),
        "ahead": [asdict(each) for each in ahead],
    }
    return {**state.model_dump(mode="json", exclude=NOT_SHOWN), **facts, **isoformatted(known)}


def _print(state: "CheckoutState", suppression: "Suppression | None", ahead: "list[Ahead]") -> None:
    facts = state.facts
    say((state.id, "bold"), f"  {state.status}")
    if facts.customer is not None:
        say(f"{facts.customer.name or ''} <{facts.customer.email}>".strip())
    say(_consent(state))
    if suppression is not None:
        say(f"suppressed: {suppression.reason}, since {written(suppression.at)}")
    say(f"{len(facts.items)} items, {facts.total or '?'} {facts.currency or ''}")
    times = {"opened": state.opened_at, "touched": state.touched_at, "ordered": state.ordered_at}
    say("  ".join(f"{what} {written(at)}" for what, at in times.items() if at is not None))
    say(f"next look at {written(state.next_at)}" if state.next_at else "at rest")
    for each in ahead:
        say(f"to come: {each.step}, {written(each.at)}" if each.at else f"not to come: {each.step}, {each.why}")
    if not ahead:
        say("nothing more is to come")
    if state.messages:
        print_table(
            ("message", "state", "attempts", "due", "sent", "reason or reply"),
            (
                (name, each.state, each.attempts, written(each.due_at), written(each.sent_at), _why(each))
                for name, each in state.messages.items()
            ),
        )
    rows = ((written(past.at), past.decision, in_words(past.reason)) for past in state.history)
    print_table(("when (UTC)", "decision", "reason"), rows)


def _why(message: Any) -> str:
    return in_words(message.reason or message.reply or "")


def _consent(state: "CheckoutState") -> str:
    consent = state.consent
    if consent is None:
        return "consent: nothing is known"
    said = {True: "given", False: "refused", None: "taken back"}[consent.given]
    return f"consent: {said} {written(consent.at)}, {consent.basis} ({consent.source})"
