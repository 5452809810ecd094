"""`recovery check`: MongoDB, its collections and indexes, the mail templates, the DKIM key and the relay."""

from collections.abc import AsyncIterator

from recovery.app.factories import CannotStart, database_of, per_shop
from recovery.app.shops import composers_of, relay_of
from recovery.checks.finding import Finding, error, ok, warning
from recovery.checks.pauses import paused
from recovery.client import BadAddress
from recovery.domain.warmup import Warmup
from recovery.mail.smtp.mailer import RelayUnreachable, check_relay
from recovery.mail.smtp.pool import RelayConfig
from recovery.mail.templates.templates import TemplateError
from recovery.mongo import collections, preflight
from recovery.mongo.pauses import Pauses
from recovery.settings import Settings

_SERVER = "MongoDB is a replica set"
_COLLECTIONS = "collections and indexes"
_TEMPLATES = "mail templates"
_RELAY = "the relay takes mail"


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Run every check, and yield each finding as soon as it is known."""
    async for finding in _database(settings):
        yield finding
    try:
        composers_of(settings)
    except (TemplateError, CannotStart) as exc:
        yield error(_TEMPLATES if isinstance(exc, TemplateError) else "DKIM key file", str(exc))
        return
    yield ok(_TEMPLATES, f"{len(settings.schedule.steps)} steps")
    for shop, own in {"": settings, **{shop: settings.of(shop) for shop in settings.shops}}.items():
        if not own.schedule.steps:
            setting = f"shops.{shop}.schedule.steps" if shop else "schedule.steps"
            yield warning("reminders", f"{setting} is empty, so nobody is reminded", "add steps if you want reminders.")
    for relay in per_shop(settings, relay_of).each():
        yield await _relay(relay)
        if relay.warmup is not None:
            yield ok("warm-up", _in_words(relay.warmup))


def _in_words(warmup: Warmup) -> str:
    return (
        f"{warmup.first_day} messages on {warmup.begins_on}, then {warmup.growth:g} times as many each day,"
        f" {warmup.days} days"
    )


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with database_of(settings) as database:
            if fault := await preflight.fault(database):
                yield error(_SERVER, fault.detail, fault.fix)
                return
            yield ok(_SERVER, await preflight.advice(database))
            faults = await collections.faults(database)
            yield error(_COLLECTIONS, "; ".join(faults), "run recovery init.") if faults else ok(_COLLECTIONS)
            for finding in paused(await Pauses(database).all()):
                yield finding
    except BadAddress as exc:
        yield error(_SERVER, str(exc), "fix mongodb.uri.")


async def _relay(relay: RelayConfig) -> Finding:
    try:
        greeting = await check_relay(relay)
    except RelayUnreachable as exc:
        return error(_RELAY, str(exc))
    return ok(_RELAY, f"{relay.address} says {greeting}")
