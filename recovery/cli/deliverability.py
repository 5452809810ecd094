"""`recovery deliverability`: what became of the mails of the last day, by receiver, and which receivers are slowed."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from recovery.cli.terminal import AsJson, in_words, isoformatted, open_database, print_table, say, say_json

if TYPE_CHECKING:
    from datetime import datetime

    from recovery.mongo.receivers import Reception

receivers = typer.Typer()

COLUMNS = ("receiver", "sent", "accepted", "deferred", "blocked", "unknown", "refused", "bounced", "complaints")


@receivers.command()
def deliverability(as_json: AsJson = False) -> None:
    """Show what became of the mails of the last day, by mailbox provider, and which providers are slowed and why."""
    found, now = asyncio.run(_found())
    if as_json:
        say_json([isoformatted(_document(each)) for each in found])
    elif found:
        _print(found, now)
    else:
        say("No mail was sent within the last day.")


async def _found() -> "tuple[list[Reception], datetime]":
    from recovery.mongo.receivers import MongoReceivers

    async with open_database() as session:
        now = session.clock.now()
        return await MongoReceivers(session.database).last_day(now), now


def _document(reception: "Reception") -> dict[str, Any]:
    """Return the figures of a receiver: all messages that the relay answered are `sent`."""
    counts = {count.value: number for count, number in reception.counts.items()}
    said = ("accepted", "deferred", "blocked", "unknown", "refused")
    slowed = reception.slowed
    sent = sum(counts.get(each, 0) for each in said)
    return {
        "relay": reception.relay,
        "receiver": reception.receiver,
        "sent": sent,
        "accepted": counts.get("accepted", 0),
        "accepted_percent": round(100 * counts.get("accepted", 0) / sent, 1) if sent else None,
        "deferred": counts.get("deferred", 0),
        "blocked": counts.get("blocked", 0) + counts.get("blocked_later", 0),
        "unknown": counts.get("unknown", 0) + counts.get("hard", 0),
        "refused": counts.get("refused", 0),
        "bounced": counts.get("soft", 0),
        "complaints": counts.get("complaint", 0),
        "slowed": slowed and {"since": slowed.since, "rate": round(slowed.rate, 2), "reply": slowed.reply},
    }


def _print(found: "list[Reception]", now: "datetime") -> None:
    relays = list(dict.fromkeys(each.relay for each in found))
    for relay in relays:
        rows = [_document(each) for each in found if each.relay == relay]
        if len(relays) > 1:
            say((relay, "bold"))
        print_table(COLUMNS, (_cells(row) for row in sorted(rows, key=lambda row: -row["sent"])))
        for line in _slowed(rows, now):
            say(line)


def _cells(row: dict[str, Any]) -> list[str]:
    percent = row["accepted_percent"]
    accepted = "" if percent is None else f"{percent:g} %"
    return [accepted if name == "accepted" else str(row[name]) for name in COLUMNS]


def _slowed(rows: list[dict[str, Any]], now: "datetime") -> Iterator[str]:
    for row in rows:
        if slowed := row["slowed"]:
            since = slowed["since"]
            at = f"{since:%H:%M}" if since.date() == now.date() else f"{since:%Y-%m-%d %H:%M}"
            rate = slowed["rate"]
            often = f"{rate:.3g}/s" if rate >= 1 else f"{60 * rate:.3g}/min"
            yield f"{row['receiver']}: slowed since {at} UTC to {often}: {in_words(slowed['reply'])}"
