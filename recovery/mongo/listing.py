"""Lists of checkouts: filters that an index serves, the newest checkout first, in pages.

A page ends at a position, the time at which its last checkout was opened and its id. Neither ever changes, so what
matches the filters from the first page to the last comes exactly once, whatever is written meanwhile.
"""

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidBSON
from pymongo import DESCENDING
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern

from recovery.domain.fields import normalised
from recovery.domain.state import CheckoutState, MessageState, Status
from recovery.engine.writes import Unreadable
from recovery.errors import Refused
from recovery.mongo.collections import BY_ADDRESS, BY_MARK, BY_STATUS, FORGIVING, Document
from recovery.mongo.documents import read
from recovery.mongo.drivers import settled
from recovery.mongo.marks import mark

LISTED: dict[str, Any] = FORGIVING | {"read_concern": ReadConcern("snapshot")}
"""Options of the collection that a list is read from.

A page is of one moment: a checkout that is ordered while the ranges of two statuses are merged would be in neither.
"""

BAD_VALUE = 2

USUAL, MOST = 50, 500
"""Checkouts of a page: by default, and at most."""

MOST_SHOPS = 50
"""Shops of one list. The server reads one range for each shop and status, and merges at most 200 without sorting."""

_STEP = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_FIRST_MS, _LAST_MS = -(2**63), 2**63 - 1
_ORDER = [("opened_at", DESCENDING), ("_id", DESCENDING)]


class BadFilter(ValueError):
    """Filters that no index serves, or a value that is not valid.

    `field` is the filter's name; `missing` says whether other filters would make it valid.
    """

    def __init__(self, field: str, message: str, *, missing: bool = False) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.missing = missing


@dataclass(frozen=True, slots=True)
class Filters:
    """What the checkouts of a list have in common.

    `since` and `until` are about the time at which they were opened; `until` itself is not included. `state` and
    `reason` are those of the message of `step`. Raises `BadFilter` unless an index serves them.
    """

    shops: Sequence[str] = ()
    status: Status | None = None
    step: str | None = None
    state: MessageState | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    email: str | None = None

    def __post_init__(self) -> None:
        if not self.shops and self.email is None:
            raise BadFilter("shop", "is needed, or email: there is no index over all shops", missing=True)
        if len(self.shops) > MOST_SHOPS:
            raise BadFilter("shop", f"there are {len(self.shops)}, and one list is of at most {MOST_SHOPS}")
        if self.step is None and (self.state is not None or self.reason is not None):
            raise BadFilter("step", "is needed with state and reason: they are those of one message", missing=True)
        if self.step is not None and not _STEP.fullmatch(self.step):
            raise BadFilter("step", "is not the name of a step: lower-case letters, digits, _ and -")
        if self.step is not None and self.state is None:
            raise BadFilter("state", "is needed with step", missing=True)
        if self.email is None and self.state is not None:
            self._must_be_marked(self.state)

    def _must_be_marked(self, state: MessageState) -> None:
        if not state.settled:
            why = f"no index has messages that are {state.value}: add email, or list by status instead of step"
            raise BadFilter("state", why, missing=True)
        if self.status is not None:
            why = "no index has both status and step: leave out one of them, or add email"
            raise BadFilter("status", why, missing=True)

    @property
    def index(self) -> str:
        """The name of the index that serves them."""
        if self.email is not None:
            return BY_ADDRESS
        return BY_STATUS if self.step is None else BY_MARK

    def query(self) -> Document:
        """Return the query, without the times."""
        query: Document = {"_id": {"$type": "string"}}
        if self.shops:
            query["shop"] = _one_of(self.shops)
        if self.email is not None:
            query["address"] = normalised(self.email)
        if self.step is not None:
            query[f"messages.{self.step}.state"] = self.state
        if self.reason is not None:
            query[f"messages.{self.step}.reason"] = self.reason
        if self.index == BY_STATUS:
            query["status"] = _one_of([self.status] if self.status is not None else list(Status))
        elif self.status is not None:
            query["status"] = self.status
        if self.index == BY_MARK and self.step is not None and self.state is not None:
            query["settled"] = mark(self.step, self.state, self.reason)
        return query


class Position(NamedTuple):
    """The end of a page: when its last checkout was opened, in milliseconds, and its id."""

    at: int
    id: str

    def __str__(self) -> str:
        """Return it as the text that callers pass on: it has no secret, and whoever makes one up sees no more."""
        return urlsafe_b64encode(json.dumps([self.at, self.id]).encode()).decode().rstrip("=")


def position(text: str) -> Position:
    """Return the position in a text that a page ended with. Raises `BadFilter`."""
    try:
        at, id_ = json.loads(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        if type(at) is int and _FIRST_MS <= at <= _LAST_MS and isinstance(id_, str):
            return Position(at, id_.encode().decode())
    except (ValueError, TypeError, RecursionError):
        pass
    raise BadFilter("after", "is not what a page ended with: pass on the page's next as it is")


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, without histories. `next` is the `after` of the next page, None if this is the last one.

    `unreadable` are the ids of checkouts that this version cannot read: damaged ones, and those of a newer version.
    """

    checkouts: Sequence[CheckoutState]
    unreadable: Sequence[str] = ()
    next: str | None = None


@contextmanager
def needing(index: str) -> Iterator[None]:
    """Translate the server's error about an index that is not there. Raises `Refused`."""
    try:
        yield
    except OperationFailure as exc:
        if exc.code != BAD_VALUE or "hint" not in str(exc):
            raise
        raise Refused(f"checkouts cannot be listed: the index {index} is missing, run `recovery init`") from exc


async def page(checkouts: Any, filters: Filters, limit: int = USUAL, after: str | None = None) -> Page:
    """Return one page of the checkouts that match. Raises `BadFilter`, `Refused`, and PyMongo's errors.

    `checkouts` is the collection of any client.
    """
    checkouts = checkouts.with_options(**LISTED)
    if not 1 <= limit <= MOST:
        raise BadFilter("limit", f"must be from 1 to {MOST}")
    ranges = list(_ranges(filters, position(after) if after is not None else None))
    with needing(filters.index):
        try:
            found = await _found(checkouts, filters, ranges, limit + 1)
        except InvalidBSON:
            found = await _one_by_one(checkouts, filters, ranges, limit + 1)
    states, unreadable = [], []
    for document in found[:limit]:
        state = read(document)
        if isinstance(state, Unreadable):
            unreadable.append(state.id)
        else:
            states.append(state)
    last = _position_of(found[limit - 1]) if len(found) > limit else None
    return Page(states, unreadable, None if last is None else str(last))


def _ranges(filters: Filters, after: Position | None) -> Iterator[Document]:
    """Yield the ranges of the index that follow a position: the rest of its millisecond, and all that is older."""
    since = _FIRST_MS if filters.since is None else _ms(filters.since)
    until = _LAST_MS if filters.until is None else _ms(filters.until)
    if after is not None:
        if since <= after.at < until:
            yield {"opened_at": DatetimeMS(after.at), "_id": {"$type": "string", "$lt": after.id}}
        until = min(until, after.at)
    yield {"opened_at": {"$gte": DatetimeMS(since), "$lt": DatetimeMS(until)}}


def _order(range_: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Return the order of a range. Where all have one time, the server would sort if it were told that as well."""
    return _ORDER[1:] if "_id" in range_ else _ORDER


async def _found(
    checkouts: Any, filters: Filters, ranges: Sequence[Document], limit: int, *fields: str
) -> list[Document]:
    found: list[Document] = []
    for each in ranges:
        if left := limit - len(found):
            cursor = checkouts.find(
                filters.query() | each,
                dict.fromkeys(fields, 1) or {"history": 0},
                sort=_order(each),
                limit=left,
                hint=filters.index,
            )
            found += await settled(cursor.to_list(None))
    return found


async def _one_by_one(checkouts: Any, filters: Filters, ranges: Sequence[Document], limit: int) -> list[Document]:
    """Return the documents of a page of which one is not valid BSON: of that, what finds it."""
    found = []
    for key in await _found(checkouts, filters, ranges, limit, "_id", "opened_at"):
        try:
            found.append(await settled(checkouts.find_one({"_id": key["_id"]}, {"history": 0})) or key)
        except InvalidBSON:
            found.append(key)
    return found


def _position_of(document: Mapping[str, Any]) -> Position:
    at = document["opened_at"]
    return Position(_ms(at) if isinstance(at, datetime) else int(at), document["_id"])


def _ms(at: datetime) -> int:
    return int(DatetimeMS(at))


def _one_of(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else {"$in": list(values)}
