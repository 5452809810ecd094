"""Names of people, in the order of their language: platforms keep a given and a family name, and join them one way."""

import re

from recovery.shops.values import text_of

_EAST_ASIAN = re.compile(r"[\u3005-\u3007\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff ]+")
"""Kana, Han and Hangul: the scripts of Japanese, Chinese and Korean names."""

_HANGUL = re.compile(r"[\uac00-\ud7af]")


def full_name(given: str | None, family: str | None, locale: str = "") -> str | None:
    """Return a person's whole name, or None if neither part is known."""
    if given and family and (name := family_first(given, family, locale)):
        return text_of(name)
    return text_of(" ".join(filter(None, (given, family))))


def family_first(given: str, family: str, locale: str) -> str | None:
    """Return a name with the family name first, or None if that is not its order.

    Chinese, Japanese and Korean names are recognised by their script, since in Latin letters their order is reversed;
    Hungarian ones by the locale. Chinese and Korean names are written without a space.
    """
    language = locale[:2].lower()
    if language == "hu":
        return f"{family} {given}"
    if not (_EAST_ASIAN.fullmatch(given) and _EAST_ASIAN.fullmatch(family)):
        return None
    return f"{family}{given}" if language in ("zh", "ko") or _HANGUL.search(given) else f"{family} {given}"
