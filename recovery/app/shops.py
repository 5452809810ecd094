"""The parts of a running Recovery that may differ from shop to shop: schedule, composer and relay."""

from collections.abc import Hashable
from dataclasses import dataclass

from recovery.app.factories import CannotStart, links_of, per_shop
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Schedule
from recovery.mail.composer import Composer, Identity
from recovery.mail.dkim import BadKey, Signer, load_key
from recovery.mail.smtp.pool import RelayConfig
from recovery.mail.templates.templates import Templates
from recovery.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Shop:
    """A shop as the engine serves it: when its mails are due, how they are made, and the relay that takes them."""

    schedule: Schedule
    composer: Composer
    relay: RelayConfig


def shops_of(settings: Settings) -> PerShop[Shop]:
    """Return all shops. Raises as `composers_of` does."""
    composers = composers_of(settings)

    def shop(own: Settings, composer: Composer) -> Shop:
        return Shop(own.to_schedule(), composer, relay_of(own))

    by_shop = {name: shop(settings.of(name), composer) for name, composer in composers.by_shop.items()}
    return PerShop(shop(settings, composers.default), by_shop)


def composers_of(settings: Settings) -> PerShop[Composer]:
    """Return the composer of each shop. Shops with the same templates and steps share the compiled templates.

    Raises as `templates_of` and `composer_of` do.
    """
    made: dict[Hashable, Templates] = {}

    def shared(own: Settings) -> Composer:
        key = own.mail.templates, own.schedule.time_zone, own.to_schedule().mails
        if key not in made:
            made[key] = templates_of(own, is_shops_own=own.mail.templates != settings.mail.templates)
        return composer_of(own, made[key])

    return per_shop(settings, shared)


def templates_of(settings: Settings, *, is_shops_own: bool = False) -> Templates:
    """Return the templates of a shop, checked. Raises `recovery.mail.templates.templates.TemplateError`.

    `is_shops_own` is whether the folder is not that of all shops.
    """
    templates = Templates(settings.mail.templates, settings.schedule.time_zone, is_shops_own=is_shops_own)
    templates.check(settings.to_schedule().mails)
    return templates


def composer_of(settings: Settings, templates: Templates, *, subject_prefix: str = "") -> Composer:
    """Return the composer of a shop with these templates. Raises `CannotStart` for a DKIM key that cannot sign."""
    mail = settings.mail
    identity = Identity(mail.sender, mail.reply_to, mail.message_id_domain, mail.list_id)
    return Composer(
        templates,
        identity,
        links_of(settings),
        brand=settings.brand.to_brand(),
        subject_prefix=subject_prefix,
        sign=signer_of(settings),
    )


def signer_of(settings: Settings) -> Signer | None:
    """Return the DKIM signer, or None if the relay signs. Raises `CannotStart`."""
    dkim = settings.dkim
    if dkim.domain is None or dkim.selector is None or dkim.private_key_file is None:
        return None
    try:
        return Signer(dkim.domain, dkim.selector, load_key(dkim.private_key_file))
    except BadKey as exc:
        raise CannotStart(f"dkim.private_key_file: {exc}") from exc


def relay_of(settings: Settings) -> RelayConfig:
    """Return the address of the relay, its credentials and its limits."""
    smtp = settings.smtp
    return RelayConfig(
        host=smtp.host,
        port=smtp.port,
        tls=smtp.tls,
        username=smtp.username,
        password=smtp.password.get_secret_value() if smtp.password else None,
        ca_file=str(smtp.ca_file) if smtp.ca_file else None,
        local_hostname=smtp.local_hostname,
        connections=smtp.connections,
        rates=smtp.rate,
        warmup=settings.to_warmup(),
        messages_per_connection=smtp.messages_per_connection,
        chunking=smtp.chunking,
        idle_seconds=smtp.idle.total_seconds(),
        timeout_seconds=smtp.timeout.total_seconds(),
        dot_timeout_seconds=smtp.dot_timeout.total_seconds(),
    )
