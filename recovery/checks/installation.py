"""`recovery check`: is everything there that Recovery needs, and what to do where it is not."""

from collections.abc import AsyncIterator

from recovery.app.factories import CannotStart, database_of, per_shop
from recovery.app.shops import composers_of, relay_of
from recovery.checks.finding import Finding
from recovery.client import BadAddress
from recovery.mail.smtp.mailer import RelayUnreachable, check_relay
from recovery.mail.smtp.pool import Relay
from recovery.mail.templates.templates import TemplateError
from recovery.mongo import collections, preflight
from recovery.settings import Settings


async def examine(settings: Settings) -> AsyncIterator[Finding]:
    """Make every check, and give what each found as soon as it is known."""
    async for finding in _database(settings):
        yield finding
    try:
        composers_of(settings)
    except (TemplateError, CannotStart) as exc:
        yield Finding("mail templates" if isinstance(exc, TemplateError) else "the key to sign with", str(exc))
        return
    yield Finding("mail templates", note=f"{len(settings.schedule.steps)} steps")
    for shop, own in {"": settings, **{shop: settings.of(shop) for shop in settings.shops}}.items():
        if not own.schedule.steps:
            whose = f"shops.{shop}.schedule.steps" if shop else "schedule.steps"
            yield Finding(
                "reminders", doubt=f"{whose} is empty, so nobody is reminded: name steps if that is not meant."
            )
    for relay in per_shop(settings, relay_of).each():
        yield await _relay(relay)


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    try:
        async with database_of(settings) as database:
            fault = await preflight.fault(database)
            yield Finding("MongoDB is a replica set", fault, "" if fault else await preflight.advice(database))
            if not fault:
                wrong = await collections.faults(database)
                mend = f"{'; '.join(wrong)}. Run: recovery init" if wrong else None
                yield Finding("collections and indexes", mend)
    except BadAddress as exc:
        yield Finding("MongoDB is a replica set", str(exc))


async def _relay(relay: Relay) -> Finding:
    try:
        greeting = await check_relay(relay)
    except RelayUnreachable as exc:
        return Finding("the relay takes mail", str(exc))
    return Finding("the relay takes mail", note=f"{relay.address} says {greeting}")
