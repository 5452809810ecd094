"""Queries: which documents they match, which fields of them are returned, and in which order."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cmp_to_key
from typing import Any

from recovery.testing.documents.expressions import evaluate, is_true
from recovery.testing.documents.values import MISSING, Document, NotInMemory, candidates, compare, equal, rank

_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "date": lambda value: rank(value) == 9,
    "number": lambda value: rank(value) == 2,
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "bool": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}


def matches(document: Document, query: Mapping[str, Any], now: Any = None) -> bool:
    """Return whether a query matches a document. Raises `NotInMemory`."""
    for name, wanted in query.items():
        match name:
            case "$and":
                found = all(matches(document, each, now) for each in wanted)
            case "$or":
                found = any(matches(document, each, now) for each in wanted)
            case "$nor":
                found = not any(matches(document, each, now) for each in wanted)
            case "$expr":
                found = is_true(evaluate(wanted, {"ROOT": document, "NOW": now}))
            case _ if name.startswith("$"):
                raise NotInMemory(f"the query {name}")
            case _:
                found = _meets(document, name, wanted)
        if not found:
            return False
    return True


def _meets(document: Document, path: str, wanted: Any) -> bool:
    if "." not in path and (value := document.get(path, MISSING)) is not MISSING and not isinstance(value, list):
        values: Sequence[Any] = (value,)
    else:
        values = list(candidates(document, path)) or (MISSING,)
    if not _are_conditions(wanted):
        return _equals(values, wanted)
    options = wanted.get("$options", "")
    return all(_holds(values, name, argument, options) for name, argument in wanted.items() if name != "$options")


def _are_conditions(wanted: Any) -> bool:
    return isinstance(wanted, dict) and bool(wanted) and next(iter(wanted)).startswith("$")


def _equals(values: Sequence[Any], wanted: Any) -> bool:
    if wanted is None:
        return any(value is None or value is MISSING for value in values)
    if isinstance(wanted, str):
        return any(isinstance(value, str) and value == wanted for value in values)
    return any(equal(value, wanted) for value in values)


def _holds(values: Sequence[Any], name: str, argument: Any, options: str) -> bool:
    if (ordered := _ORDERS.get(name)) is not None:
        place = rank(argument)
        return any(rank(value) == place and ordered(compare(value, argument)) for value in values)
    if name == "$not":
        return not all(_holds(values, inner, each, options) for inner, each in argument.items())
    if name == "$regex":
        pattern = re.compile(argument, re.IGNORECASE if "i" in options else 0)
        return any(isinstance(value, str) and pattern.search(value) is not None for value in values)
    if (condition := _CONDITIONS.get(name)) is None:
        raise NotInMemory(f"the condition {name}")
    return condition(values, argument)


_ORDERS: dict[str, Callable[[int], bool]] = {
    "$gt": lambda found: found > 0,
    "$gte": lambda found: found >= 0,
    "$lt": lambda found: found < 0,
    "$lte": lambda found: found <= 0,
}


def _is_in(values: Sequence[Any], members: Sequence[Any]) -> bool:
    if len(values) == 1 and isinstance(values[0], str):
        return values[0] in members  # texts are equal here as they are there, and this is quick
    return any(_equals(values, member) for member in members)


_CONDITIONS: dict[str, Callable[[Sequence[Any], Any], bool]] = {
    "$eq": _equals,
    "$ne": lambda values, argument: not _equals(values, argument),
    "$in": _is_in,
    "$nin": lambda values, argument: not _is_in(values, argument),
    "$exists": lambda values, argument: any(value is not MISSING for value in values) == bool(argument),
    "$type": lambda values, argument: any(value is not MISSING and _type(argument)(value) for value in values),
    "$elemMatch": lambda values, argument: any(isinstance(each, dict) and matches(each, argument) for each in values),
}


def _type(name: Any) -> Callable[[Any], bool]:
    if name not in _TYPES:
        raise NotInMemory(f"the type {name}")
    return _TYPES[name]


def projected(document: Document, fields: Mapping[str, Any] | Sequence[str] | None) -> Document:
    """Return the fields of a document that a projection asks for."""
    if not fields:
        return document
    wanted = dict(fields) if isinstance(fields, Mapping) else dict.fromkeys(fields, 1)
    slices = {name: each["$slice"] for name, each in wanted.items() if isinstance(each, dict)}
    plain = {name: each for name, each in wanted.items() if name not in slices}
    for name, count in slices.items():
        if name in document:
            document = document | {name: document[name][count:] if count < 0 else document[name][:count]}
    if not any(is_true(each) for name, each in plain.items() if name != "_id"):
        if any(name != "_id" and "." in name for name in plain):
            raise NotInMemory(f"the projection {wanted}")
        left_out = [name for name, each in plain.items() if not is_true(each)]
        if not left_out and "_id" in plain:
            return {"_id": document["_id"]}
        return {name: value for name, value in document.items() if name not in left_out}
    names = [name for name, each in plain.items() if is_true(each)]
    if "_id" not in plain:
        names.append("_id")
    return _only(document, names)


def _only(document: Document, paths: Sequence[str]) -> Document:
    inner: dict[str, list[str]] = {}
    for path in paths:
        name, _, rest = path.partition(".")
        inner.setdefault(name, [])
        if rest:
            inner[name].append(rest)
    found: Document = {}
    for name, value in document.items():
        if name not in inner:
            continue
        if not inner[name]:
            found[name] = value
        elif isinstance(value, dict):
            found[name] = _only(value, inner[name])
        elif isinstance(value, list):
            found[name] = [_only(each, inner[name]) for each in value if isinstance(each, dict)]
    return found


def in_order(documents: Sequence[Document], keys: Sequence[tuple[str, int]]) -> list[Document]:
    """Return documents in the order of these fields, each 1 for ascending or -1 for descending."""
    ordered = list(documents)
    for name, direction in reversed(keys):
        ordered.sort(
            key=cmp_to_key(lambda one, other, name=name: compare(_key(one, name), _key(other, name))),  # type: ignore[misc]
            reverse=direction < 0,
        )
    return ordered


def _key(document: Document, path: str) -> Any:
    """Return the value by which a document is sorted: null and a missing field are the same."""
    value = next(candidates(document, path), MISSING)
    return None if value is MISSING else value
