"""The words of mails that were written in the console: every version of them, of which the newest is in force."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from recovery.domain.edits import ALL_SHOPS, Edit, Key
from recovery.mongo.collections import FORGIVING, NEWEST_WORDS, WORDS, Database, Document
from recovery.mongo.errors import translated

MOST_KEPT = 100
"""Versions that are kept of the words of a shop in a language."""

BY_KEPT = 100


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an edit: its number, who saved it, and when. Version 0, by nobody, has no words."""

    edit: Edit
    number: int = 0
    by: str = ""
    at: datetime | None = None


class SavedSince(Exception):
    """Somebody has saved a version since the one that was edited; `newest` is theirs."""

    def __init__(self, newest: Version) -> None:
        super().__init__(f"version {newest.number} was saved since")
        self.newest = newest


class EditedWords:
    """The edited words of a database. Every method raises `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._words = database.get_collection(WORDS, **FORGIVING)

    @translated
    async def numbers(self) -> Mapping[str, int]:
        """Return the number of the newest version of all words, by what it is of: one key of the index is read of each.

        Every daemon asks this all the time.
        """
        newest: list[Document] = [
            {"$sort": {"of": ASCENDING, "version": DESCENDING}},
            {"$group": {"_id": "$of", "version": {"$first": "$version"}}},
        ]
        found = await self._words.aggregate(newest, hint=NEWEST_WORDS)
        return {str(each["_id"]): number async for each in found if (number := _number(each["version"]))}

    @translated
    async def edits(self, numbers: Mapping[str, int]) -> Mapping[str, Edit]:
        """Return the edits of these versions, by what they are of."""
        ids = [f"{of}/{number}" for of, number in numbers.items()]
        found = self._words.find({"_id": {"$in": ids}}) if ids else None
        return {} if found is None else {str(each["of"]): _version(each).edit async for each in found}

    @translated
    async def newest(self, shop: str, locale: str) -> Version:
        """Return the version in force."""
        return await self._newest(shop, locale)

    @translated
    async def version(self, shop: str, locale: str, number: int) -> Version | None:
        """Return a version, or None if it was never saved or is not kept any more. Version 0 always exists."""
        if number == 0:
            return Version(Edit(shop, locale))
        found = await self._words.find_one({"_id": f"{_of(shop, locale)}/{number}"})
        return None if found is None else _version(found)

    @translated
    async def history(self, shop: str, locale: str) -> list[Version]:
        """Return the versions that are kept, the newest first."""
        found = self._words.find({"of": _of(shop, locale)}).sort("version", DESCENDING)
        return [_version(each) async for each in found]

    @translated
    async def save(self, edit: Edit, by: str, now: datetime, *, after: int) -> Version:
        """Store words as the version that follows `after`; return it. Raises `SavedSince` if that is not the newest.

        The unique key decides between two who save at the same time.
        """
        newest = await self._newest(edit.shop, edit.locale)
        if newest.number != after:
            raise SavedSince(newest)
        of, number = _of(edit.shop, edit.locale), after + 1
        try:
            await self._words.insert_one(
                {
                    "_id": f"{of}/{number}",
                    "of": of,
                    "version": number,
                    "by": by[:BY_KEPT],
                    "at": now,
                    "words": [{"mail": mail, "key": key, "text": text} for (mail, key), text in edit.words],
                }
            )
        except DuplicateKeyError:
            raise SavedSince(await self._newest(edit.shop, edit.locale)) from None
        await self._words.delete_many({"of": of, "version": {"$lte": number - MOST_KEPT}})
        return Version(edit, number, by[:BY_KEPT], now)

    async def _newest(self, shop: str, locale: str) -> Version:
        found = await self._words.find_one({"of": _of(shop, locale)}, sort=[("version", DESCENDING)])
        return Version(Edit(shop, locale)) if found is None else _version(found)


def _of(shop: str, locale: str) -> str:
    """Return the name of what has versions. Raises `ValueError` for a shop that cannot be one."""
    if not shop or "/" in shop:
        raise ValueError(f"{shop!r} is neither the name of a shop nor {ALL_SHOPS}")
    return f"{shop}/{locale}"


def _version(document: Document) -> Version:
    """Return a stored version. What is no word in it, as somebody may have written by hand, is passed over."""
    shop, _, locale = str(document["of"]).partition("/")
    at = document.get("at")
    return Version(
        Edit(shop, locale, tuple(_words(document.get("words")))),
        _number(document["version"]),
        str(document.get("by", "")),
        at if isinstance(at, datetime) else None,
    )


def _number(stored: Any) -> int:
    return int(stored) if isinstance(stored, int) else 0


def _words(stored: Any) -> Iterable[tuple[Key, str]]:
    for each in stored if isinstance(stored, list) else ():
        match each:
            case {"mail": str(mail), "key": str(key), "text": str(text)}:
                yield (mail, key), text
