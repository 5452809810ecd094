"""What some shops have otherwise: tables such as `[shops."lamps.example".mail]`, over those that are for all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator

from recovery.checkout import ShopKey
from recovery.settings.names import Setting, suggestion
from recovery.settings.sources import SettingsError, why

SECTIONS = ("mail", "dkim", "smtp", "schedule", "confirmation", "links", "shopify")
"""The sections that may differ from shop to shop. The others are of the service as a whole."""

Tables = Mapping[str, Mapping[str, Any]]


def _of_shops_alone(shops: Mapping[str, Tables]) -> Mapping[str, Tables]:
    for shop, tables in shops.items():
        if shop != shop.lower() and ("shopify" in tables or shop.lower().endswith(".myshopify.com")):
            raise ValueError(f"{shop} must be in lower case, {shop.lower()}: so Shopify's webhooks are kept")
        for section in tables:
            if section not in SECTIONS:
                raise ValueError(
                    f"{shop}.{section} cannot differ from shop to shop, only {', '.join(SECTIONS)}"
                    f"{suggestion(section, SECTIONS)}"
                )
    return shops


Shops = Annotated[Mapping[ShopKey, Tables], AfterValidator(_of_shops_alone)]


def with_secrets(shop: str, tables: Tables, known: Sequence[Setting]) -> dict[str, dict[str, Any]]:
    """Return the tables of a shop with what they name files for: `password_file = "/run/secrets/lamps-smtp"`.

    Raises `SettingsError` for files that cannot be read.
    """
    secrets = {(setting.section, f"{setting.key}_file"): setting for setting in known if setting.secret}
    read: dict[str, dict[str, Any]] = {}
    for section, table in tables.items():
        read[section] = {}
        for key, value in table.items():
            if (secret := secrets.get((section, key))) is None:
                read[section][key] = value
                continue
            try:
                read[section][secret.key] = Path(value).read_text("utf-8").rstrip("\r\n")
            except (OSError, UnicodeDecodeError, TypeError) as exc:
                fault = why(exc) if not isinstance(exc, TypeError) else "it is not the name of a file"
                raise SettingsError([f"shops.{shop}.{section}.{key}: cannot read {value}: {fault}"]) from None
    return read
