"""Texts of strangers, such as names and a relay's replies, made fit to be kept, logged, shown and written in a mail."""

import re
from collections.abc import Iterable
from functools import lru_cache
from unicodedata import normalize

SHORTEST_PRIVATE = 3
"""Characters of a word that tells who somebody is: shorter ones stand in any text."""

LONGEST_GREETED = 60
"""Characters of a name that a mail may greet somebody by."""

_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")
_CODE = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)|^\s*[245]\d\d(?!\d)")

_BLANK = re.compile(r"[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
"""Control characters (C0, DEL, C1), line separators, and what turns the direction of the text after it (UAX #9)."""

_NOT_A_NAME = re.compile(
    r"://|www\.|@"
    r"|\w[.。．｡][^\W\d_]{2,}"  # a domain: mail programs make a link of it
    r"|\d(?:[\s().,+/-]*\d){4,}",  # five digits or more, as in a telephone number
    re.IGNORECASE,
)
_LINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)|(?=\.[a-z]{2,}/)", re.IGNORECASE)
WORD_JOINER = "\u2060"


def masked(text: str, private: Iterable[str] = ()) -> str:
    """Return a text on one line, with an ellipsis for each e-mail address and for each of these `private` words."""
    text = plain(text)
    if "@" in text:
        text = _ADDRESS.sub("…", text)
    small = text.lower()
    for each in private:
        if each.lower() in small:
            text = re.sub(rf"(?<!\w){re.escape(each)}(?!\w)", "…", text, flags=re.IGNORECASE)
    return text


def private(email: str, name: str | None) -> list[str]:
    """Return the words that tell who somebody is: the name, and what stands before the @ of the address."""
    return [each for each in (name, email.rpartition("@")[0]) if each and len(each) >= SHORTEST_PRIVATE]


def code(text: str) -> str:
    """Return the status code in a server's words, RFC 3463's or else that of SMTP; empty if there is none."""
    found = _CODE.findall(text)
    return next((each for each in found if "." in each), found[0].strip() if found else "")


def plain(text: str) -> str:
    """Return a text without control characters and without what turns the direction of text; line ends are spaces."""
    if text.isprintable():
        return text
    return _CONTROL.sub("", _BLANK.sub(" ", text))


def is_plain(text: str) -> bool:
    """Whether `plain` leaves a text as it is."""
    return text.isprintable() or _CONTROL.search(text) is None


@lru_cache(maxsize=1024)  # a mail asks twice
def greeted(name: str | None) -> str | None:
    """Return the name that a mail may greet somebody by, or None.

    Whoever leaves a checkout may give anybody's address and call them what they like: what has a link, an address or a
    long number in it, or is longer than a name is, would be a message of theirs under the shop's name.
    """
    if name is None:
        return None
    name = plain(name).strip()
    seen = name if name.isascii() else normalize("NFKC", name)
    return None if not name or len(name) > LONGEST_GREETED or _NOT_A_NAME.search(seen) else name


@lru_cache(maxsize=4096)  # the same products are left by many
def unlinked(title: str) -> str:
    """Return a title, plain, of which no mail program makes a link: a word joiner (U+2060, unseen) parts each address.

    Not every domain is taken for one, such as `Node.js`: only one with `www.` before it, or with a path behind it.
    """
    title = plain(title)
    if "://" in title or "." in title or "@" in title:  # few have any of these, and a pattern is slow
        return _LINK.sub(WORD_JOINER, title) if _LINK.search(title) else title
    return title
