"""Locales: fallbacks, and the formats of amounts and dates."""

import re
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Literal

import jinja2
from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency, format_decimal
from jinja2.runtime import Context

from recovery.domain.quiet_hours import zone

Length = Literal["short", "medium", "long", "full"]


def fallbacks(locale: str) -> list[str]:
    """Return a locale and its parents, the most exact first: `de_ch` gives `de-CH`, `de`.

    The case of each part is that of BCP 47 (RFC 5646 section 2.1.1).
    """
    language, *rest = re.split("[-_]", locale)
    parts = [language.lower(), *(_cased(part) for part in rest)]
    return ["-".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _cased(part: str) -> str:
    match len(part):
        case 2:
            return part.upper()
        case 4:
            return part.title()
        case _:
            return part.lower()


@lru_cache(maxsize=256)
def known(locale: str) -> Locale | None:
    """Return Babel's locale; if it is unknown, that of its language; None if both are unknown."""
    parts = locale.replace("-", "_")
    for candidate in (parts, parts.partition("_")[0]):
        try:
            return Locale.parse(candidate)
        except (ValueError, UnknownLocaleError):
            continue
    return None


def direction(language: str) -> str:
    """Return the direction in which a language is written, as HTML names it: "rtl" or "ltr"; "ltr" if it is unknown."""
    found = known(language)
    return "rtl" if found is not None and found.character_order == "right-to-left" else "ltr"


def sides(direction: str) -> dict[str, str]:
    """Return the names of a template that follow from a direction: itself, and the sides where a line starts and ends.

    `align` and many mail programs know left and right alone.
    """
    start, end = ("right", "left") if direction == "rtl" else ("left", "right")
    return {"direction": direction, "start": start, "end": end}


@lru_cache(maxsize=4096)
def amount(value: Decimal, currency: str | None, locale: str) -> str:
    """Return an amount in the locale's format: with its currency (ISO 4217), or as a plain number without one."""
    if currency is None:
        return format_decimal(value, locale=_known(locale))
    if (form := _form(currency, locale)) is not None:
        before, point, decimals, after = form
        digits = f"{value:.{decimals}f}"
        if len(digits) <= 3 + len(point) + decimals and digits[0] != "-":  # no thousands to group
            return f"{before}{digits.replace('.', point)}{after}"
    return format_currency(value, currency, locale=_known(locale))


@lru_cache(maxsize=256)
def _form(currency: str, locale: str) -> tuple[str, str, int, str] | None:
    """Return a currency's format in the locale: prefix, decimal sign, number of decimals, suffix.

    Babel would work this out again for each amount. None if the locale uses other digits.
    """
    sample = format_currency(Decimal(111), currency, locale=_known(locale))
    match = re.fullmatch(r"(\D*)111(?:(\D)(0+))?(\D*)", sample, re.ASCII)
    if match is None:
        return None
    before, point, decimals, after = match.groups("")
    return before, point, len(decimals), after


def _known(locale: str) -> Locale:
    return known(locale) or Locale("en")


@jinja2.pass_context
def money(context: Context, value: Decimal) -> str:
    """Return an amount in the currency and the locale of the checkout: the filter `money`."""
    return amount(value, context["currency"], context["locale"])


@jinja2.pass_context
def date(context: Context, at: datetime, length: Length = "long") -> str:
    """Return the day of a time in the locale and the time zone of the checkout: the filter `date`."""
    from babel.dates import format_date  # slow to load, and a daemon can start without it

    return format_date(at.astimezone(zone(context["time_zone"])), length, locale=_known(context["locale"]))
