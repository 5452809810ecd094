"""What some shops have otherwise: tables such as `[shops."lamps.example".mail]`, over those that are for all."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from recovery.settings.fields import like
from recovery.settings.names import suggestion

SECTIONS = ("mail", "dkim", "smtp", "schedule", "confirmation", "links", "shopify", "webhooks")
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


_Key = Annotated[
    str,
    like(
        r"[^\s/\x00-\x1f\x7f]{1,100}",
        "must be the name of a shop as it is reported: up to 100 characters, with no spaces or slashes in it",
    ),
]
Shops = Annotated[Mapping[_Key, Tables], AfterValidator(_of_shops_alone)]
