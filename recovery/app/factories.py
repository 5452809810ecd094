"""Factories: each builds one component from the settings."""

import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from recovery.client import Recovery, connect
from recovery.domain.fields import normalised
from recovery.domain.per_shop import PerShop
from recovery.domain.pseudonyms import Pseudonyms
from recovery.domain.results import Terms
from recovery.engine.limits import Limits
from recovery.engine.ports import Clock
from recovery.errors import RecoveryError
from recovery.http.customer.feedback import Feedback
from recovery.http.inbound.accesses import Accesses, WebhookAccess
from recovery.http.keys import ApiKey, unscoped
from recovery.mail.links import Links
from recovery.mail.seals import Seals
from recovery.mail.templates.pages import Pages
from recovery.mongo.collections import OPTIONS, Database
from recovery.mongo.results import MongoResults
from recovery.mongo.returns import Returns
from recovery.mongo.suppressions import Suppressions
from recovery.settings import Settings

if TYPE_CHECKING:
    from recovery.shops.adapter import Adapter

T = TypeVar("T")


class CannotStart(RecoveryError):
    """Recovery cannot start; the message says why, and what to fix."""


@asynccontextmanager
async def database_of(settings: Settings, **options: Any) -> AsyncIterator[Database]:
    """Connect to the database of the settings."""
    client = connect(settings.mongodb.uri.get_secret_value(), **options)
    async with client:
        yield client.get_database(settings.mongodb.database, **OPTIONS)


MOST_REPORTS = 400
"""Requests that may wait for the database, of at most 500 connections: health checks still get through if it hangs."""


def recovery_of(settings: Settings, client: Any = None) -> Recovery:
    """Return the ingestion API on the database of the settings.

    With a given client it is bounded, for requests over HTTP. With a client of its own it is for a command, which may
    take long: erasing a large shop, for example.
    """
    mongodb, database = settings.mongodb.uri.get_secret_value(), settings.mongodb.database
    keys = secrets_of(settings.suppressions.keys)
    if client is None:
        return Recovery(mongodb, database=database, suppression_keys=keys, timeout=math.inf)
    return Recovery(client, database=database, suppression_keys=keys, most_at_once=MOST_REPORTS)


def per_shop(settings: Settings, make: Callable[[Settings], T]) -> PerShop[T]:
    """Return the results of `make` for the default settings and for those of each shop that has its own."""
    return PerShop(make(settings), {shop: make(settings.of(shop)) for shop in settings.shops})


def suppressions_of(settings: Settings, database: Database) -> Suppressions:
    """Return the suppression list, with the keys of the settings."""
    return Suppressions(database, pseudonyms_of(settings))


def pseudonyms_of(settings: Settings) -> Pseudonyms:
    """Return the pseudonyms of suppressed addresses, with the keys of the settings."""
    return Pseudonyms(secrets_of(settings.suppressions.keys))


def links_of(settings: Settings, others: Sequence[SecretStr] = ()) -> Links:
    """Return the Links of a shop; it also opens tokens that were sealed with the keys of `others`."""
    links = settings.links
    return Links(
        Seals(secrets_of(dict.fromkeys([*links.keys, *others]))),
        pseudonyms_of(settings),
        base_url=links.base_url,
        return_path=settings.bounces.return_path,
        parameters=links.parameters,
        count_clicks=links.count_clicks,
    )


def feedback_of(settings: Settings, database: Database, clock: Clock, pages: PerShop[Pages]) -> Feedback:
    """Return the parts that the endpoints for customers and mail systems share."""
    all_keys = [key for own in settings.each() for key in own.links.keys]
    return Feedback(
        per_shop(settings, lambda own: links_of(own, all_keys)),
        suppressions_of(settings, database),
        pseudonyms_of(settings),
        clock,
        expire_after=settings.links.expire_after,
        bounce_secrets=secrets_of(settings.bounces.secrets),
        provider_secrets=provider_secrets_of(settings),
        returns=Returns(database),
        pages=pages,
    )


def results_of(settings: Settings, database: Database) -> MongoResults:
    """Return the sums of what reminders bring, with the shortest retention of all shops."""
    retention = min(own.schedule.retention for own in settings.each())
    left_out = [normalised(each) for each in settings.mail.test_recipients]
    return MongoResults(database, settings.results.window, retention, left_out)


def terms_of(settings: Settings) -> Terms:
    """Return the terms of results: experiments, window and the smallest lift."""
    results = settings.results
    return Terms(settings.to_experiments().all, results.window, results.smallest_lift)


def provider_secrets_of(settings: Settings) -> dict[str, list[str]]:
    """Return the secrets of each provider that sends our mails, by its name."""
    given = dict(settings.providers)
    topics = given.pop("ses")
    return {"ses": list(topics), **{name: secrets_of(each) for name, each in given.items()}}


def api_keys_of(settings: Settings) -> list[ApiKey]:
    """Return the API keys: the named ones with their scopes, and the unrestricted ones."""
    named = [
        ApiKey(key.name, key.secret.get_secret_value(), frozenset(key.scopes), frozenset(key.shops))
        for key in settings.http.keys
    ]
    return [*named, *unscoped(secrets_of(settings.http.api_keys))]


def webhooks_of(settings: Settings, adapters: "Iterable[Adapter] | None" = None) -> Accesses:
    """Return each shop's access to webhooks by the adapter's name.

    Raises `CannotStart` for an unknown adapter, and for a secret or an address that its platform has no use for.
    """
    if any(_platforms(own) for own in settings.each()):
        _check_platforms(settings, adapters)
    return per_shop(settings, _accesses_of)


def _check_platforms(settings: Settings, adapters: "Iterable[Adapter] | None") -> None:
    if adapters is None:
        from recovery.shops import ADAPTERS  # most settings name none, and their start does not wait for them

        adapters = ADAPTERS
    known = {adapter.name: adapter for adapter in adapters if adapter.name != "shopify"}  # it has a section of its own
    for own in settings.each():
        if unknown := sorted(_platforms(own) - set(known)):
            name = unknown[0]
            fix = "set [shopify] instead" if name == "shopify" else f"there are: {', '.join(sorted(known)) or 'none'}"
            raise CannotStart(f"webhooks: no adapter {name} is configured here; {fix}.")
        for name, adapter in known.items():
            if adapter.key_set_path and name in own.webhooks.secrets:
                raise CannotStart(f"webhooks.secrets: {name} signs with its own keys; set webhooks.addresses instead.")
            if not adapter.key_set_path and name in own.webhooks.addresses:
                raise CannotStart(f"webhooks.addresses: {name} signs with a secret; set webhooks.secrets instead.")


def _platforms(own: Settings) -> set[str]:
    webhooks = own.webhooks
    return {*webhooks.secrets, *webhooks.addresses, *webhooks.checkout_urls, *webhooks.confirm_orders}


def _accesses_of(own: Settings) -> dict[str, WebhookAccess]:
    webhooks = own.webhooks
    accesses = {
        name: WebhookAccess(
            secrets_of(webhooks.secrets.get(name, ())),
            name in webhooks.confirm_orders,
            webhooks.checkout_urls.get(name),
            webhooks.addresses.get(name),
        )
        for name in {*webhooks.secrets, *webhooks.addresses}
    }
    if own.shopify.webhook_secret:
        accesses["shopify"] = WebhookAccess(secrets_of(own.shopify.webhook_secret), own.shopify.confirm_orders)
    return accesses


def limits_of(settings: Settings) -> Limits:
    """Return the limits of the sender of each relay."""
    return Limits(settings.daemon.in_flight, settings.daemon.hand_over_within.total_seconds())


def secrets_of(values: Iterable[SecretStr]) -> list[str]:
    """Return secrets in clear text."""
    return [value.get_secret_value() for value in values]
