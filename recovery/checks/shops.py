"""`recovery check --shops`: when each shop last reported, over which channel, and what was refused or ignored."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from recovery.app.factories import database_of
from recovery.checks.finding import Finding, Severity, error, warning
from recovery.client import BadAddress
from recovery.domain.channels import API, Answer
from recovery.mongo import preflight
from recovery.mongo.channels import Answered, Channel, Channels
from recovery.settings import Settings

_SERVER = "MongoDB is a replica set"


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Yield a finding for each shop and each of its channels; a warning where the last report was not accepted."""
    try:
        async with database_of(settings) as database:
            if fault := await preflight.fault(database):
                yield error(_SERVER, fault.detail, fault.fix)
                return
            channels = Channels(database)
            known = await channels.all()
            opened = {shop: at async for shop, at in channels.opened()}
    except BadAddress as exc:
        yield error(_SERVER, str(exc), "fix mongodb.uri.")
        return
    for finding in findings(known, opened, settings.shops):
        yield finding


def findings(known: list[Channel], opened: Mapping[str, datetime], configured: Mapping[str, object]) -> list[Finding]:
    """Return the findings, by shop: of those that reported over HTTP, with checkouts, or with settings of their own."""
    by_shop: dict[str, list[Channel]] = {shop: [] for shop in sorted({*configured, *opened, *(c.shop for c in known)})}
    for channel in known:
        by_shop[channel.shop].append(channel)
    found = []
    for shop, of_shop in by_shop.items():
        found += [_finding(channel) for channel in of_shop]
        if not of_shop:
            found.append(_unheard(shop, opened.get(shop)))
    if not found:
        return [warning("shops", "no shop has reported yet", "report a checkout, or set up a webhook.")]
    return found


def _finding(channel: Channel) -> Finding:
    detail = "; ".join(_said(answer, channel.answers[answer]) for answer in Answer if answer in channel.answers)
    check = f"{channel.shop} over {'the HTTP API' if channel.channel == API else channel.channel}"
    if channel.lost:
        return Finding(
            check, Severity.WARNING, detail, "the last report is lost: fix what the reason names, and report it again."
        )
    return Finding(check, Severity.OK, detail)


def _said(answer: Answer, said: Answered) -> str:
    why = f" ({said.reason.rstrip('.')})" if said.reason else ""
    return f"{said.times:,} {answer.words}, the last at {said.at:%Y-%m-%d %H:%M:%S} UTC{why}"


def _unheard(shop: str, opened: datetime | None) -> Finding:
    if opened is None:
        return warning(shop, "has settings, and has never reported", "report a checkout, or set up its webhooks.")
    detail = f"nothing over HTTP, as from Python; the newest checkout was opened at {opened:%Y-%m-%d %H:%M:%S} UTC"
    return Finding(shop, Severity.OK, detail)
