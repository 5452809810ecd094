"""Overrides for single shops: tables such as `[shops."lamps.example".mail]`, which win over the common sections."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from recovery.settings.fields import like
from recovery.settings.names import suggestion

SECTIONS = ("mail", "brand", "dkim", "smtp", "warmup", "schedule", "confirmation", "links", "shopify", "webhooks")
"""The sections that a shop can override. The others apply to the service as a whole."""

Tables = Mapping[str, Mapping[str, Any]]


def _checked(shops: Mapping[str, Tables]) -> Mapping[str, Tables]:
    for shop, tables in shops.items():
        if shop != shop.lower() and ("shopify" in tables or shop.lower().endswith(".myshopify.com")):
            raise ValueError(f"{shop} must be in lower case, {shop.lower()}: reports from Shopify use that form")
        for section in tables:
            if section not in SECTIONS:
                raise ValueError(
                    f"{shop}.{section} cannot be set for a single shop, only {', '.join(SECTIONS)}"
                    f"{suggestion(section, SECTIONS)}"
                )
    return shops


_Key = Annotated[
    str,
    like(
        r"[^\s/\x00-\x1f\x7f]{1,100}",
        "must be the name of a shop as in its reports: up to 100 characters, without spaces and slashes",
    ),
]
Shops = Annotated[Mapping[_Key, Tables], AfterValidator(_checked)]
