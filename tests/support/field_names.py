"""The names of fields: those that the code spells as string literals, and those of stored documents."""

import ast
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from bson.decimal128 import Decimal128
from bson.int64 import Int64

from recovery.mongo import collections
from recovery.mongo.schemas import Field, Fields
from tests.support.paths import ROOT

ANY = "<>"
"""What stands for a part of a name that is known at run time only."""

WORDS = {
    "branches", "case", "coll", "cond", "default", "in", "input", "pipeline", "then", "vars",  # of aggregations
    "code", "errmsg", "index",  # of write errors
    "hello",  # commands
    "delete", "drop", "insert", "invalidate", "rename", "replace", "update",  # of change events
    "date", "number", "string",  # BSON types
}  # fmt: skip
"""Words of the server and the driver."""

OTHERS = {
    "checkouts.py": {"ignore"},
    "data_subjects.py": {"codec_options", "checkouts", "dead_letters", "suppressions", "erased"},
    "dead_letters.py": {"times"},
    "direct.py": {"order_id", "service"},
    "documents.py": {"ignore", "loc", "msg"},
    "feed.py": {"gone", "reported"},
    "listing.py": {"after", "ascii", "hint", "limit", "read_concern", "snapshot", "step"},
    "operations.py": {"cancel", "model_dump"},
    "recovery.py": {"msg", "recovery"},
    "results_pipelines.py": {
        "arm.k",
        "arm.v",
        "back",
        "back.v",
        "back_at",
        "bought",
        "bought_at",
        "brought",
        "brought_at",
        "came",
        "decimal",
        "find",
        "first_at",
        "into",
        "is_first",
        "is_open",
        "last_at",
        "mail",
        "mail.k",
        "mail.v.coupon",
        "mail.v.sent_at",
        "object",
        "on",
        "replacement",
        "to",
        "unit",
        "_",
    },  # of rows on their way to a sum, and words of aggregations
    "suppressions.py": {"i", "field", "unit", "day"},
}
"""Words that are no names of fields, by module."""

MODULES = ("recovery/mongo/*.py", "recovery/client/direct.py", "recovery/client/recovery.py")

ELSEWHERE = {
    "__init__.py", "clock.py", "collections.py", "connection.py", "drivers.py", "errors.py", "fields.py",
    "group_commit.py", "preflight.py", "schemas.py", "uris.py",
}  # fmt: skip
"""Modules of the room that read and write no document."""

BSON_TYPES = {
    str: "string", bool: "bool", int: "int", Int64: "long", float: "double", datetime: "date", dict: "object",
    list: "array", type(None): "null", Decimal128: "decimal",
}  # fmt: skip

_WORD = re.compile(r"\$?[a-z_<>]+(\.[a-z_<>]+)*")


def paths(fields: Fields, prefix: str = "") -> Iterator[str]:
    """Yield the dotted paths of a document, with `<>` for names that are data."""
    for name, field in fields.items():
        path = prefix + re.sub("<.*>", ANY, name)
        yield path
        yield from paths(field.fields, f"{path}.")


def unknown() -> dict[str, set[str]]:
    """Return the names in each module that are in no document that the module handles."""
    modules = [each for pattern in MODULES for each in ROOT.glob(pattern) if each.name not in ELSEWHERE]
    found = {}
    for module in modules:
        tree = ast.parse(module.read_text())
        names = {name for name in _names(tree) if not _is_known(name, _collections(tree))}
        found[module.name] = names - WORDS - OTHERS.get(module.name, set())
    return found


def _collections(tree: ast.AST) -> list[Fields]:
    """Return the documents that a module handles: of the collections that it imports, or else checkouts."""
    known = collections.COLLECTIONS
    constants = {name: value for name, value in vars(collections).items() if isinstance(value, str) and value in known}
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    names = [value for name, value in constants.items() if name in imported] or [collections.CHECKOUTS]
    return [collections.COLLECTIONS[name].fields for name in names]


def _is_known(name: str, documents: list[Fields]) -> bool:
    """Return True if a name is a path of these documents, the end of one, or the name of one of their fields."""
    every = {path for fields in documents for path in paths(fields)}
    if name.startswith(f"{ANY}."):
        return any(path.endswith(name.removeprefix(ANY)) for path in every)
    return name in every or name in {path.rpartition(".")[2] for path in every}


def _names(tree: ast.AST) -> Iterator[str]:
    nodes = list(ast.walk(tree))
    operators = {key for node in nodes if isinstance(node, ast.Dict) for key in node.keys if key is not None}
    operators |= {node.slice for node in nodes if isinstance(node, ast.Subscript)}
    ignored = {node.value for node in nodes if isinstance(node, ast.Expr)}
    ignored |= {part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    texts = [(node, text) for node in nodes if node not in ignored and (text := _text(node)) and _WORD.fullmatch(text)]
    # `$$name.part` refers to a variable, and to a part of it, that this module binds by these names.
    literals = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    variables = {name for text in literals if text.startswith("$$") for name in text[2:].split(".")}
    for node, text in texts:
        if not (text.startswith("$") and node in operators) and text not in variables and text != ANY:
            yield text.removeprefix("$")
    for node in nodes:  # intake spells the fields that it changes as keywords
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_merged":
            yield from (keyword.arg for keyword in node.keywords if keyword.arg)


def _text(node: ast.AST) -> str | None:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(part.value if isinstance(part, ast.Constant) else ANY for part in parts)
    return None


def stored(document: Mapping[str, Any], fields: Fields) -> Iterator[tuple[str, str, Field | None]]:
    """Yield the path and BSON type of each field of a stored document, with its definition; None if it has none."""
    data = next((each for name, each in fields.items() if name.startswith("<")), None)
    for name, value in document.items():
        field = fields.get(name, data)
        path = name if name in fields or data is None else ANY
        yield path, BSON_TYPES[type(value)], field
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, Mapping) and field is not None and field.fields:
                yield from ((f"{path}.{below}", *rest) for below, *rest in stored(each, field.fields))
