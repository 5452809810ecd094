"""The words of mails that somebody wrote in the console, in place of those in files."""

from dataclasses import dataclass

from recovery.domain.pauses import EVERYTHING

ALL_SHOPS = EVERYTHING
"""The shop of words that are for all shops."""

Key = tuple[str, str]
"""The mail of a word, "" for all mails, and its key."""


@dataclass(frozen=True, slots=True)
class Edit:
    """The words of a shop, or of `ALL_SHOPS`, in one language: each with its key and its text.

    `locale` is that of the file of words that they stand above: "" for `words.toml`.
    """

    shop: str
    locale: str
    words: tuple[tuple[Key, str], ...] = ()
