"""Aggregation expressions, evaluated as the server does."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from recovery.testing.documents.values import MISSING, Document, NotInMemory, compare, equal, field_of

Scope = Mapping[str, Any]
"""The variables of an expression by name: `ROOT` is the document, `NOW` the time of the statement."""

_MILLISECOND = timedelta(milliseconds=1)


def evaluate(expression: Any, scope: Scope) -> Any:
    """Return the value of an expression, `MISSING` for a field that does not exist. Raises `NotInMemory`."""
    if isinstance(expression, str):
        if not expression.startswith("$"):
            return expression
        if not expression.startswith("$$"):
            return field_of(scope["ROOT"], expression[1:])
        name, _, path = expression[2:].partition(".")
        if name not in scope:
            raise NotInMemory(f"the variable {expression}")
        return field_of(scope[name], path) if path else scope[name]
    if isinstance(expression, dict):
        if len(expression) == 1:
            (name,) = expression
            if name.startswith("$"):
                return _operator(name)(expression[name], scope)
        found = {name: evaluate(each, scope) for name, each in expression.items()}
        return {name: value for name, value in found.items() if value is not MISSING}
    if isinstance(expression, list):
        return [_or_null(evaluate(each, scope)) for each in expression]
    return expression


def replaced(document: Document, stages: list[Document], now: Any) -> Document:
    """Return a document as the stages of an update make it."""
    for stage in stages:
        ((name, argument),) = stage.items()
        scope = {"ROOT": document, "NOW": now}
        match name:
            case "$replaceWith":
                document = evaluate(argument, scope)
            case "$set" | "$addFields" if not any("." in path for path in argument):
                document = document | evaluate(argument, scope)
            case "$unset" if isinstance(argument, str) and "." not in argument:
                document = {field: value for field, value in document.items() if field != argument}
            case _:
                raise NotInMemory(f"the stage {stage}")
    return document


def is_true(value: Any) -> bool:
    """Return whether a value counts as true: neither false, nor 0, null or missing."""
    return value is not MISSING and value is not None and value is not False and value != 0


def _operator(name: str) -> Callable[[Any, Scope], Any]:
    if (found := _OPERATORS.get(name)) is None:
        raise NotInMemory(f"the operator {name}")
    return found


def _or_null(value: Any) -> Any:
    return None if value is MISSING else value


def _is_nothing(value: Any) -> bool:
    return value is None or value is MISSING


def _compares(holds: Callable[[int], bool]) -> Callable[[Any, Scope], Any]:
    def compared(args: Any, scope: Scope) -> bool:
        one, other = args
        return holds(compare(evaluate(one, scope), evaluate(other, scope)))

    return compared


def _cond(args: Any, scope: Scope) -> Any:
    if isinstance(args, dict):
        args = [args["if"], args["then"], args["else"]]
    condition, then, otherwise = args
    return evaluate(then if is_true(evaluate(condition, scope)) else otherwise, scope)


def _switch(args: Any, scope: Scope) -> Any:
    for branch in args["branches"]:
        if is_true(evaluate(branch["case"], scope)):
            return evaluate(branch["then"], scope)
    return evaluate(args["default"], scope)


def _let(args: Any, scope: Scope) -> Any:
    bound = {name: evaluate(each, scope) for name, each in args["vars"].items()}
    return evaluate(args["in"], {**scope, **bound})


def _if_null(args: Any, scope: Scope) -> Any:
    for each in args[:-1]:
        if not _is_nothing(value := evaluate(each, scope)):
            return value
    return evaluate(args[-1], scope)


def _merge_objects(args: Any, scope: Scope) -> Any:
    merged: Document = {}
    for each in args if isinstance(args, list) else [args]:
        value = evaluate(each, scope)
        if not _is_nothing(value):
            merged |= value
    return merged


def _extreme(sign: int) -> Callable[[Any, Scope], Any]:
    def extreme(args: Any, scope: Scope) -> Any:
        values = [evaluate(each, scope) for each in args]
        best = None
        for value in values:
            if not _is_nothing(value) and (best is None or sign * compare(value, best) > 0):
                best = value
        return best

    return extreme


def _add(args: Any, scope: Scope) -> Any:
    values = [evaluate(each, scope) for each in args]
    if any(map(_is_nothing, values)):
        return None
    dates = [value for value in values if isinstance(value, datetime)]
    number = sum(value for value in values if not isinstance(value, datetime))
    return dates[0] + timedelta(milliseconds=number) if dates else number


def _subtract(args: Any, scope: Scope) -> Any:
    value, less = (evaluate(each, scope) for each in args)
    if _is_nothing(value) or _is_nothing(less):
        return None
    if isinstance(value, datetime):
        return (value - less) // _MILLISECOND if isinstance(less, datetime) else value - less * _MILLISECOND
    return value - less


def _date_trunc(args: Any, scope: Scope) -> Any:
    date = evaluate(args["date"], scope)
    if args.keys() != {"date", "unit"} or args["unit"] != "day":
        raise NotInMemory("$dateTrunc to anything but days in UTC")
    return None if _is_nothing(date) else date.replace(hour=0, minute=0, second=0, microsecond=0)


def _filter(args: Any, scope: Scope) -> Any:
    members, name = evaluate(args["input"], scope), args.get("as", "this")
    if _is_nothing(members):
        return None
    return [each for each in members if is_true(evaluate(args["cond"], {**scope, name: each}))]


def _unset_field(args: Any, scope: Scope) -> Any:
    document = evaluate(args["input"], scope)
    if _is_nothing(document):
        return None
    return {name: value for name, value in document.items() if name != args["field"]}


def _in(args: Any, scope: Scope) -> bool:
    value, members = (evaluate(each, scope) for each in args)
    return any(equal(value, each) for each in members)


def _set_union(args: Any, scope: Scope) -> Any:
    parts = [evaluate(each, scope) for each in args]
    if any(map(_is_nothing, parts)):
        return None
    members: list[Any] = []
    for member in (member for part in parts for member in part):
        if member not in members:
            members.append(member)
    return sorted(members)  # the server says nothing of their order


def _slice(args: Any, scope: Scope) -> Any:
    members, count = (evaluate(each, scope) for each in args)
    return members[:count] if count >= 0 else members[count:]


def _concat_arrays(args: Any, scope: Scope) -> Any:
    parts = [evaluate(each, scope) for each in args]
    return None if any(map(_is_nothing, parts)) else [member for part in parts for member in part]


def _index_of_array(args: Any, scope: Scope) -> int:
    members, value = (evaluate(each, scope) for each in args)
    try:
        return int(members.index(value))
    except ValueError:
        return -1


def _array_elem_at(args: Any, scope: Scope) -> Any:
    members, index = (evaluate(each, scope) for each in args)
    return members[index] if -len(members) <= index < len(members) else MISSING


def _not(args: Any, scope: Scope) -> bool:
    return not is_true(evaluate(args[0] if isinstance(args, list) else args, scope))


_OPERATORS: dict[str, Callable[[Any, Scope], Any]] = {
    "$literal": lambda args, _: args,
    "$eq": _compares(lambda found: found == 0),
    "$ne": _compares(lambda found: found != 0),
    "$gt": _compares(lambda found: found > 0),
    "$gte": _compares(lambda found: found >= 0),
    "$lt": _compares(lambda found: found < 0),
    "$lte": _compares(lambda found: found <= 0),
    "$and": lambda args, scope: all(is_true(evaluate(each, scope)) for each in args),
    "$or": lambda args, scope: any(is_true(evaluate(each, scope)) for each in args),
    "$not": _not,
    "$cond": _cond,
    "$switch": _switch,
    "$let": _let,
    "$ifNull": _if_null,
    "$mergeObjects": _merge_objects,
    "$min": _extreme(-1),
    "$max": _extreme(1),
    "$add": _add,
    "$subtract": _subtract,
    "$dateTrunc": _date_trunc,
    "$filter": _filter,
    "$size": lambda args, scope: len(evaluate(args, scope)),
    "$unsetField": _unset_field,
    "$in": _in,
    "$setUnion": _set_union,
    "$slice": _slice,
    "$concatArrays": _concat_arrays,
    "$indexOfArray": _index_of_array,
    "$arrayElemAt": _array_elem_at,
}
