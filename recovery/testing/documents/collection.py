"""Collections as PyMongo has them: the synchronous one, and the asynchronous one around it."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from functools import wraps
from typing import Any, Self

from bson import ObjectId
from pymongo import DeleteMany, DeleteOne, InsertOne, ReplaceOne, UpdateMany, UpdateOne
from pymongo.errors import BulkWriteError, DuplicateKeyError
from pymongo.results import BulkWriteResult, DeleteResult, InsertManyResult, InsertOneResult, UpdateResult

from recovery.testing.documents.queries import in_order, projected
from recovery.testing.documents.store import Counts, Server
from recovery.testing.documents.values import Document, NotInMemory, stored

DUPLICATE_KEY = 11000

Query = Mapping[str, Any]


class Cursor:
    """A cursor over documents in memory: its query runs when the first document is asked for."""

    def __init__(self, run: Any, projection: Any = None) -> None:
        self._run = run
        self._projection = projection
        self._order: list[tuple[str, int]] = []
        self._skip = self._limit = 0

    def sort(self, key: str | Sequence[tuple[str, int]] | Mapping[str, int], direction: int = 1) -> Self:
        """Sort by a field, or by several of them."""
        if isinstance(key, str):
            self._order = [(key, direction)]
        else:
            self._order = list(key.items() if isinstance(key, Mapping) else key)
        return self

    def skip(self, count: int) -> Self:
        """Leave out the first documents."""
        self._skip = count
        return self

    def limit(self, count: int) -> Self:
        """Return so many documents at most; 0 is all."""
        self._limit = count
        return self

    def batch_size(self, count: int) -> Self:  # noqa: ARG002 - everything comes at once here
        """Return itself."""
        return self

    def hint(self, index: Any) -> Self:  # noqa: ARG002 - no index is needed here
        """Return itself."""
        return self

    def close(self) -> None:
        """End."""

    def found(self) -> list[Document]:
        """Return the documents."""
        found = in_order(self._run(), self._order)[self._skip :]
        if self._limit:
            found = found[: abs(self._limit)]
        return [dict(projected(each, self._projection)) for each in found]

    def to_list(self, length: int | None = None) -> Any:
        """Return the documents, at most so many."""
        return self.found()[:length]

    def __iter__(self) -> Iterator[Document]:
        return iter(self.found())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class AsyncCursor(Cursor):
    """A cursor whose results are awaited."""

    async def to_list(self, length: int | None = None) -> list[Document]:
        """Return the documents, at most so many."""
        return self.found()[:length]

    async def close(self) -> None:  # type: ignore[override]
        """End."""

    async def __aiter__(self) -> AsyncIterator[Document]:
        for document in self.found():
            yield document

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass


class Collection:
    """A collection of a server in memory, as PyMongo's `Collection`."""

    cursor: type[Cursor] = Cursor

    def __init__(self, server: Server, database: Any, name: str) -> None:
        self._server = server
        self._store = server.store(database.name, name)
        self.database = database
        self.name = name

    def with_options(self, **_: Any) -> Self:
        """Return itself: codecs and concerns make no difference in memory."""
        return self

    def find(
        self,
        filter: Query | None = None,  # noqa: A002 - as PyMongo names it
        projection: Any = None,
        skip: int = 0,
        limit: int = 0,
        sort: Any = None,
        **_: Any,
    ) -> Any:
        """Return a cursor over the documents that match."""
        query = stored(filter or {})
        cursor = self.cursor(lambda: self._store.found(query, self._server.now()), projection)
        return cursor.sort(sort or []).skip(skip).limit(limit)

    def aggregate(self, pipeline: Sequence[Document], **_: Any) -> Any:
        """Return a cursor over the results of a pipeline."""
        stages = stored(list(pipeline))
        return self.cursor(lambda: self._server.aggregated(self.database.name, self.name, stages))

    def find_one(self, filter: Query | None = None, projection: Any = None, **options: Any) -> Any:  # noqa: A002
        """Return the first document that matches, or None."""
        found = Collection.find(self, filter, projection, limit=1, **options).found()
        return found[0] if found else None

    def count_documents(self, filter: Query, skip: int = 0, limit: int = 0, **_: Any) -> Any:  # noqa: A002
        """Return the number of documents that match."""
        found = len(self._store.found(stored(filter), self._server.now())) - skip
        return max(min(found, limit) if limit else found, 0)

    def distinct(self, key: str, filter: Query | None = None, **_: Any) -> Any:  # noqa: A002
        """Return the different values of a field."""
        found = self._store.found(stored(filter or {}), self._server.now())
        return sorted({document[key] for document in found if key in document})

    def insert_one(self, document: Document, **_: Any) -> Any:
        """Insert a document."""
        self._server.now()
        new = _with_id(document)
        if not self._store.insert(new):
            raise DuplicateKeyError(_said(new), DUPLICATE_KEY, {"code": DUPLICATE_KEY, "errmsg": _said(new)})
        return InsertOneResult(new["_id"], True)

    def insert_many(self, documents: Iterable[Document], ordered: bool = True, **_: Any) -> Any:
        """Insert documents."""
        new = [_with_id(each) for each in documents]
        Collection.bulk_write(self, [InsertOne(each) for each in new], ordered=ordered)
        return InsertManyResult([each["_id"] for each in new], True)

    def update_one(self, filter: Query, update: Any, upsert: bool = False, **_: Any) -> Any:  # noqa: A002
        """Update the first document that matches."""
        return _update_result(self._update(filter, update, many=False, upsert=upsert))

    def update_many(self, filter: Query, update: Any, upsert: bool = False, **_: Any) -> Any:  # noqa: A002
        """Update all documents that match."""
        return _update_result(self._update(filter, update, many=True, upsert=upsert))

    def replace_one(self, filter: Query, replacement: Document, upsert: bool = False, **_: Any) -> Any:  # noqa: A002
        """Replace the first document that matches."""
        now = self._server.now()
        return _update_result(self._store.replace(stored(filter), stored(replacement), now, upsert=upsert))

    def find_one_and_update(
        self,
        filter: Query,  # noqa: A002
        update: Any,
        projection: Any = None,
        *,
        upsert: bool = False,
        return_document: bool = False,
        **_: Any,
    ) -> Any:
        """Update the first document that matches; return it as it was before, or is after."""
        before = Collection.find_one(self, filter)
        done = self._update(filter, update, many=False, upsert=upsert)
        if return_document and (before is not None or done.upserted is not None):
            before = self._store.documents[done.upserted if before is None else before["_id"]]
        return None if before is None else projected(before, projection)

    def delete_one(self, filter: Query, **_: Any) -> Any:  # noqa: A002
        """Delete the first document that matches."""
        return DeleteResult({"n": self._store.delete(stored(filter), self._server.now(), many=False)}, True)

    def delete_many(self, filter: Query, **_: Any) -> Any:  # noqa: A002
        """Delete all documents that match."""
        return DeleteResult({"n": self._store.delete(stored(filter), self._server.now(), many=True)}, True)

    def bulk_write(self, requests: Sequence[Any], ordered: bool = True, **_: Any) -> Any:
        """Make several writes."""
        self._server.now()
        done = {"nInserted": 0, "nMatched": 0, "nModified": 0, "nRemoved": 0, "nUpserted": 0}
        ids: list[Document] = []
        faults: list[Document] = []
        for index, request in enumerate(requests):
            fault = self._write(request, index, done, ids)
            faults += [fault] if fault else []
            if fault and ordered:
                break
        result = {**done, "upserted": ids, "writeErrors": faults, "writeConcernErrors": []}
        if faults:
            raise BulkWriteError(result)
        return BulkWriteResult(result, True)

    def _write(self, request: Any, index: int, done: dict[str, int], ids: list[Document]) -> Document | None:
        """Make a write of several; return its fault, if it has one."""
        match request:
            case InsertOne():
                new = _with_id(request._doc)  # noqa: SLF001 - operations have no other way to be read
                if not self._store.insert(new):
                    return {"index": index, "code": DUPLICATE_KEY, "errmsg": _said(new)}
                done["nInserted"] += 1
            case DeleteOne() | DeleteMany():
                found = stored(request._filter)  # noqa: SLF001
                many = isinstance(request, DeleteMany)
                done["nRemoved"] += self._store.delete(found, self._server.now(), many=many)
            case UpdateOne() | UpdateMany() | ReplaceOne():
                counts = self._update_of(request)
                done["nMatched"] += counts.matched
                done["nModified"] += counts.modified
                if counts.upserted is not None:
                    done["nUpserted"] += 1
                    ids.append({"index": index, "_id": counts.upserted})
            case _:
                raise NotInMemory(f"the write {type(request).__name__}")
        return None

    def _update_of(self, request: Any) -> Counts:
        query, change, upsert = request._filter, request._doc, bool(request._upsert)  # noqa: SLF001
        if isinstance(request, ReplaceOne):
            return self._store.replace(stored(query), stored(change), self._server.now(), upsert=upsert)
        return self._update(query, change, many=isinstance(request, UpdateMany), upsert=upsert)

    def _update(self, query: Query, update: Any, *, many: bool, upsert: bool) -> Counts:
        return self._store.update(stored(query), stored(update), self._server.now(), many=many, upsert=upsert)


def _awaited(name: str) -> Any:
    call = getattr(Collection, name)

    @wraps(call)
    async def awaited(self: Any, *args: Any, **options: Any) -> Any:
        return call(self, *args, **options)

    return awaited


class AsyncCollection(Collection):
    """A collection of a server in memory, as PyMongo's `AsyncCollection`: the same, awaited."""

    cursor = AsyncCursor


for _name in (
    *("aggregate", "find_one", "count_documents", "distinct", "insert_one", "insert_many", "update_one"),
    *("update_many", "replace_one", "find_one_and_update", "delete_one", "delete_many", "bulk_write"),
):
    setattr(AsyncCollection, _name, _awaited(_name))


def _with_id(document: Document) -> Document:
    new: Document = stored(document)
    return new if "_id" in new else {"_id": str(ObjectId()), **new}


def _said(document: Document) -> str:
    return f"E11000 duplicate key error: {document['_id']!r} exists"


def _update_result(counts: Counts) -> UpdateResult:
    raw: dict[str, Any] = {"n": counts.matched, "nModified": counts.modified}
    if counts.upserted is not None:
        raw |= {"n": 1, "upserted": counts.upserted}
    return UpdateResult(raw, True)
