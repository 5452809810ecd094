"""Values of documents: how they are stored, found by a path, and compared, as in BSON."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from bson.datetime_ms import DatetimeMS
from bson.errors import InvalidDocument

Document = dict[str, Any]


class NotInMemory(NotImplementedError):
    """The database in memory does not know this part of MongoDB: test what needs it on a real one."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the database in memory does not know {what}: test this on a mongod")


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()
"""The value of a field that does not exist."""


def stored(value: Any) -> Any:
    """Return a value as the database holds it: plain types, times in UTC to the millisecond. Nothing is shared.

    Raises `InvalidDocument` for a type that BSON does not have.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is dict:
        return {name: stored(each) for name, each in value.items()}
    if kind is list or kind is tuple:
        return [stored(each) for each in value]
    if kind is datetime:
        return _to_milliseconds(value)
    if isinstance(value, DatetimeMS):
        return _to_datetime(int(value))
    if isinstance(value, Enum) and isinstance(value.value, str):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): stored(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [stored(each) for each in value]
    if isinstance(value, int | float | str):
        return value
    raise InvalidDocument(f"cannot encode object of type {kind.__name__}")


_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})


def _to_milliseconds(at: datetime) -> datetime:
    if at.tzinfo is not UTC:
        at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    over = at.microsecond % 1000
    return at.replace(microsecond=at.microsecond - over) if over else at


def _to_datetime(milliseconds: int) -> datetime:
    """Return a time in milliseconds since 1970; beyond what `datetime` can hold, the nearest that it can."""
    if not _FIRST <= milliseconds <= _LAST:
        return datetime(1, 1, 1, tzinfo=UTC) if milliseconds < _FIRST else datetime(9999, 12, 31, tzinfo=UTC)
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)


_FIRST, _LAST = -62_135_596_800_000, 253_402_300_799_999


def field_of(value: Any, path: str) -> Any:
    """Return the value at a path in an expression: of a list, the list of what its members have there."""
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name, MISSING)
        elif isinstance(value, list):
            value = [each[name] for each in value if isinstance(each, dict) and name in each]
        else:
            return MISSING
    return value


def candidates(value: Any, path: str) -> Iterator[Any]:
    """Yield the values that a query's path may mean: those in lists too, at each step. `MISSING` if there are none."""
    name, _, rest = path.partition(".")
    if isinstance(value, dict):
        found = value.get(name, MISSING)
        if rest:
            yield from candidates(found, rest)
        else:
            yield found
            if isinstance(found, list):
                yield from found
    elif isinstance(value, list):
        for each in value:
            if isinstance(each, dict):
                yield from candidates(each, path)
    else:
        yield MISSING


_RANKS: dict[type, int] = {int: 2, float: 2, str: 3, dict: 4, list: 5, bytes: 6, bool: 8, datetime: 9}


def rank(value: Any) -> int:
    """Return the place of a value's type in BSON's order of comparison."""
    if value is MISSING:
        return 0
    if value is None:
        return 1
    return _RANKS[type(value)]


def compare(one: Any, other: Any) -> int:
    """Return -1, 0 or 1 as BSON orders two values: by type first; documents by their fields in order."""
    ranks = rank(one), rank(other)
    if ranks[0] != ranks[1]:
        return -1 if ranks[0] < ranks[1] else 1
    if ranks[0] <= 1:
        return 0
    if isinstance(one, dict):
        return _compared([_field(*item) for item in one.items()], [_field(*item) for item in other.items()])
    if isinstance(one, list):
        return _compared(one, other)
    return int(one > other) - int(one < other)


def equal(one: Any, other: Any) -> bool:
    """Return whether BSON holds two values for the same."""
    return compare(one, other) == 0


def _field(name: str, value: Any) -> list[Any]:
    return [rank(value), name, value]


def _compared(one: list[Any], other: list[Any]) -> int:
    for mine, theirs in zip(one, other, strict=False):
        if found := compare(mine, theirs):
            return found
    return (len(one) > len(other)) - (len(one) < len(other))
