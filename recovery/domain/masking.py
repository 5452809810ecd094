"""Sanitising of untrusted text, such as names and relay replies, for storage, logs, pages and mails."""

import re
from collections.abc import Iterable
from functools import lru_cache
from unicodedata import normalize

SHORTEST_PRIVATE = 3
"""Characters of a word that is masked as personal: shorter words occur in any text."""

LONGEST_GREETED = 60
"""Characters of a name in a greeting."""

_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:]+@[^\s<>()\[\]\"',;:]+")
_CODE = re.compile(r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?![\d.]*\d)|^\s*[245]\d\d(?!\d)")

_BLANK = re.compile(r"[\t-\r\x1c-\x1f\x85\u2028\u2029]+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")
"""Control characters (C0, DEL, C1), line separators, and characters that change text direction (UAX #9)."""

_INVISIBLE = re.compile("[\xad\u180e\u200b\u2060-\u2064\u206a-\u206f\ufff9-\ufffb\U000e0000-\U000e007f]+")
"""Characters that no reader sees and a filter does: they break words apart, or hide a text (tags, annotations)."""

_JOINERS = re.compile("[\u200c\u200d]+")
"""Joiners, which Persian, Indian scripts and emoji need, and which break a domain apart as well."""

_NOT_A_NAME = re.compile(
    r"://|www\.|@"
    r"|\w[.。．｡][^\W\d_]{2,}"  # a domain: mail programs make a link of it
    r"|\d(?:[\s().,+/-]*\d){4,}",  # five digits or more, as in a telephone number
    re.IGNORECASE,
)
_LINK = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?=@)|(?=\.[a-z]{2,}/)", re.IGNORECASE)
WORD_JOINER = "\u2060"


def masked(text: str, private: Iterable[str] = ()) -> str:
    """Return a text on one line, with each e-mail address and each of the `private` words replaced by an ellipsis."""
    text = plain(text)
    if "@" in text:
        text = _ADDRESS.sub("…", text)
    small = text.lower()
    for each in private:
        if each.lower() in small:
            text = re.sub(rf"(?<!\w){re.escape(each)}(?!\w)", "…", text, flags=re.IGNORECASE)
    return text


def private(email: str, name: str | None) -> list[str]:
    """Return the words that identify a person: the name, and the local part of the address."""
    return [each for each in (name, email.rpartition("@")[0]) if each and len(each) >= SHORTEST_PRIVATE]


def code(text: str) -> str:
    """Return the status code in a server's reply: that of RFC 3463, else of SMTP; empty if there is none."""
    found = _CODE.findall(text)
    return next((each for each in found if "." in each), found[0].strip() if found else "")


def plain(text: str) -> str:
    """Return a text without control and text-direction characters; line ends become spaces."""
    if text.isprintable():
        return text
    return _CONTROL.sub("", _BLANK.sub(" ", text))


def visible(text: str) -> str:
    """Return a plain text without characters that nobody sees; joiners, which scripts and emoji need, stay."""
    return text if text.isprintable() else _INVISIBLE.sub("", plain(text))


def is_plain(text: str) -> bool:
    """Return whether `plain` leaves a text unchanged."""
    return text.isprintable() or _CONTROL.search(text) is None


@lru_cache(maxsize=1024)  # a mail asks twice
def greeted(name: str | None) -> str | None:
    """Return the name for a greeting, or None if it is not safe to use.

    Anyone can enter a stranger's address and any name for it. A "name" with a link, an address or a long number in it,
    or one that is longer than names are, would be a message of theirs under the shop's name.
    """
    if name is None:
        return None
    name = visible(name).strip()
    seen = name if name.isascii() else normalize("NFKC", _JOINERS.sub("", name))
    return None if not name or len(name) > LONGEST_GREETED or _NOT_A_NAME.search(seen) else name


@lru_cache(maxsize=4096)  # the same products are left by many
def unlinked(title: str) -> str:
    """Return a plain title that no mail program turns into a link: an invisible word joiner (U+2060) breaks addresses.

    A domain alone, such as `Node.js`, is left as it is: only one after `www.`, or before a path, is broken.
    """
    title = visible(title)
    if "://" in title or "." in title or "@" in title:  # few have any of these, and a pattern is slow
        return _LINK.sub(WORD_JOINER, title) if _LINK.search(title) else title
    return title
