"""Updates: what they make of a document. Documents are never changed in place."""

from collections.abc import Callable, Mapping
from typing import Any

from recovery.testing.documents.expressions import replaced
from recovery.testing.documents.values import MISSING, Document, NotInMemory, compare, field_of

Update = Mapping[str, Any] | list[Document]


def changed(document: Document, update: Update, now: Any, *, inserted: bool = False) -> Document:
    """Return a document as an update makes it, by operators or by a pipeline. Raises `NotInMemory`.

    `update` is as `stored` returns it. `inserted`: the document is new, so that `$setOnInsert` counts.
    """
    if isinstance(update, list):
        return stored_again(replaced(document, update, now), document)
    for path, operator, argument in _in_order(update):
        if operator == "$setOnInsert" and not inserted:
            continue
        value = _OPERATORS[operator](field_of(document, path), argument, now)
        document = _without(document, path) if value is MISSING else _with(document, path, value)
    return document


def _in_order(update: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """Return the paths of an update with their operators: in the order of the paths, in which new fields are added."""
    if unknown := update.keys() - _OPERATORS.keys():
        raise NotInMemory(f"the update {', '.join(sorted(unknown))}")
    return sorted(
        ((path, operator, argument) for operator, fields in update.items() for path, argument in fields.items()),
        key=lambda each: each[0].split("."),
    )


def stored_again(document: Document, before: Document) -> Document:
    """Return a document with its `_id` as it was: an update cannot change it."""
    return document if document.get("_id") == before["_id"] else {"_id": before["_id"], **document}


def upserted(query: Mapping[str, Any]) -> Document:
    """Return the document that an upsert begins with: the fields that the query says are equal to a value."""
    found: Document = {}
    for path, wanted in query.items():
        if path.startswith("$") or (isinstance(wanted, dict) and any(name.startswith("$") for name in wanted)):
            continue
        found = _with(found, path, wanted)
    return found


def _with(document: Document, path: str, value: Any) -> Document:
    name, _, rest = path.partition(".")
    if not rest:
        return {**document, name: value}
    inner = document.get(name, {})
    if not isinstance(inner, dict):
        raise NotInMemory(f"an update of {path} where {name} is no document")
    return {**document, name: _with(inner, rest, value)}


def _without(document: Document, path: str) -> Document:
    name, _, rest = path.partition(".")
    if name not in document:
        return document
    if not rest:
        return {each: value for each, value in document.items() if each != name}
    inner = document[name]
    return {**document, name: _without(inner, rest)} if isinstance(inner, dict) else document


def _push(before: Any, argument: Any, _: Any) -> list[Any]:
    members = [] if before is MISSING else before
    if not isinstance(argument, dict) or "$each" not in argument:
        return [*members, argument]
    if unknown := argument.keys() - {"$each", "$slice"}:
        raise NotInMemory(f"$push with {', '.join(sorted(unknown))}")
    grown = [*members, *argument["$each"]]
    count = argument.get("$slice")
    if count is None:
        return grown
    return grown[:count] if count >= 0 else grown[count:]


def _add_to_set(before: Any, argument: Any, _: Any) -> list[Any]:
    members = [] if before is MISSING else list(before)
    each = argument["$each"] if isinstance(argument, dict) and "$each" in argument else [argument]
    return members + [value for number, value in enumerate(each) if value not in [*members, *each[:number]]]


def _extreme(sign: int) -> Callable[[Any, Any, Any], Any]:
    def extreme(before: Any, argument: Any, _: Any) -> Any:
        return argument if before is MISSING or sign * compare(argument, before) > 0 else before

    return extreme


_OPERATORS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "$set": lambda _before, argument, _now: argument,
    "$setOnInsert": lambda _before, argument, _now: argument,
    "$unset": lambda _before, _argument, _now: MISSING,
    "$inc": lambda before, argument, _now: argument if before is MISSING else before + argument,
    "$min": _extreme(-1),
    "$max": _extreme(1),
    "$push": _push,
    "$addToSet": _add_to_set,
    "$currentDate": lambda _before, _argument, now: now,
}
