"""The documents of one collection, and the server that holds them all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pymongo.errors import AutoReconnect

from recovery.testing.documents.changes import Update, changed, upserted
from recovery.testing.documents.queries import in_order, matches, projected
from recovery.testing.documents.values import Document, NotInMemory, stored

INDEXED = ("address",)
"""The fields besides `_id` by which documents are found without looking at each."""


class Counts(NamedTuple):
    """What a write did: the documents that matched, that were changed, and the id of one that was inserted."""

    matched: int
    modified: int
    upserted: Any = None


class Store:
    """The documents of a collection, by id, in the order in which they came."""

    def __init__(self) -> None:
        self.documents: dict[Any, Document] = {}
        self._indexes: dict[str, dict[str, dict[Any, None]]] = {field: {} for field in INDEXED}

    def found(self, query: Mapping[str, Any], now: datetime) -> list[Document]:
        """Return the documents that match."""
        field, narrowed = self._narrowed(query)
        rest = {name: wanted for name, wanted in query.items() if name != field}
        return [each for each in narrowed if matches(each, rest, now)] if rest else list(narrowed)

    def insert(self, document: Document) -> bool:
        """Store a document; return whether its id is new."""
        if document["_id"] in self.documents:
            return False
        self._write(document)
        return True

    def update(self, query: Mapping[str, Any], update: Update, now: datetime, *, many: bool, upsert: bool) -> Counts:
        """Change the documents that match, or the first of them; with `upsert`, make one if there is none."""
        found = self.found(query, now)[: None if many else 1]
        modified = 0
        for document in found:
            after = changed(document, update, now)
            if after is not document and after != document:
                self._write(after)
                modified += 1
        if found or not upsert:
            return Counts(len(found), modified)
        new = changed(upserted(query), update, now, inserted=True)
        self._write(new)
        return Counts(0, 0, new["_id"])

    def replace(self, query: Mapping[str, Any], document: Document, now: datetime, *, upsert: bool) -> Counts:
        """Replace the first document that matches."""
        found = self.found(query, now)[:1]
        if not found and not upsert:
            return Counts(0, 0)
        id_ = found[0]["_id"] if found else upserted(query).get("_id", document.get("_id"))
        self._write({"_id": id_, **document})
        return Counts(1, 1) if found else Counts(0, 0, id_)

    def delete(self, query: Mapping[str, Any], now: datetime, *, many: bool) -> int:
        """Delete the documents that match, or the first of them; return how many."""
        found = self.found(query, now)[: None if many else 1]
        for document in found:
            del self.documents[document["_id"]]
            self._unindex(document)
        return len(found)

    def _narrowed(self, query: Mapping[str, Any]) -> tuple[str | None, Iterable[Document]]:
        """Return the documents that may match, and the name of the field that all of them match already, if one does.

        They are fewer than all if the query says ids, or the values of an indexed field.
        """
        if (ids := _named(query.get("_id"))) is not None:
            return "_id", [self.documents[id_] for id_ in dict.fromkeys(ids) if id_ in self.documents]
        for field, index in self._indexes.items():
            if (values := _named(query.get(field))) is not None:
                ids = [id_ for value in dict.fromkeys(values) for id_ in index.get(value, ())]
                return field, [self.documents[id_] for id_ in ids]
        return None, list(self.documents.values())

    def _write(self, document: Document) -> None:
        before = self.documents.get(document["_id"])
        self.documents[document["_id"]] = document
        for field, index in self._indexes.items():
            value = document.get(field)
            if before is not None:
                if before.get(field) == value:
                    continue
                self._unindex(before)
            if isinstance(value, str):
                index.setdefault(value, {})[document["_id"]] = None

    def _unindex(self, document: Document) -> None:
        for field, index in self._indexes.items():
            if document.get(field) in index:
                index[document[field]].pop(document["_id"], None)


def _named(wanted: Any) -> Sequence[Any] | None:
    """Return the texts that a condition allows, or None if it is another one."""
    if isinstance(wanted, str):
        return [wanted]
    if isinstance(wanted, dict) and "$in" in wanted and all(isinstance(each, str) for each in wanted["$in"]):
        return list(wanted["$in"])
    return None


class Server:
    """A server in memory. `clock` returns its time; while `unavailable` is set, it answers no call."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._stores: dict[tuple[str, str], Store] = {}
        self.unavailable = False

    def store(self, database: str, name: str) -> Store:
        """Return the store of a collection."""
        return self._stores.setdefault((database, name), Store())

    def now(self) -> datetime:
        """Return the time of a statement, to the millisecond. Raises `AutoReconnect` while it is unavailable."""
        if self.unavailable:
            raise AutoReconnect("the database is unavailable, as the test ordered")
        now: datetime = stored(self._clock())
        return now

    def aggregated(self, database: str, name: str, pipeline: Sequence[Document]) -> list[Document]:
        """Return the result of an aggregation. Raises `NotInMemory`."""
        now = self.now()
        first: Mapping[str, Any] = {}
        if pipeline and "$match" in pipeline[0]:
            first, pipeline = pipeline[0]["$match"], pipeline[1:]
        found = self.store(database, name).found(first, now)
        for stage in pipeline:
            ((kind, argument),) = stage.items()
            match kind:
                case "$match":
                    found = [each for each in found if matches(each, argument, now)]
                case "$project":
                    found = [projected(each, argument) for each in found]
                case "$sort":
                    found = in_order(found, list(argument.items()))
                case "$skip":
                    found = found[argument:]
                case "$limit":
                    found = found[:argument]
                case "$unionWith":
                    found = found + self.aggregated(database, argument["coll"], argument["pipeline"])
                case _:
                    raise NotInMemory(f"the stage {kind}")
        return found
