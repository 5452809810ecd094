"""What a field of a document is, and the JSON schemas of documents: for MongoDB's validators, and for exports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a document. `types` are BSON types, as in `"date null"`.

    `needs` are fields that must be there with it. `fields` are those of the embedded document, or of each document in
    the array; `of` is the type of an array's plain values. A name in angle brackets stands for names that are data:
    `<step>`.
    """

    types: str
    meaning: str
    required: bool = False
    values: tuple[str, ...] = ()
    pattern: str | None = None
    needs: tuple[str, ...] = ()
    fields: "Fields" = field(default_factory=dict)
    of: str | None = None


Fields = Mapping[str, Field]
"""The fields of a document, by name."""


def validator(fields: Fields) -> dict[str, Any]:
    """Return the JSON schema of a document.

    It does not look into embedded documents, nor into those of an array: a newer version that may not renew this
    validator can still change what it stores there. Reading is forgiving.
    """
    schema: dict[str, Any] = {
        "bsonType": "object",
        "required": [name for name, each in fields.items() if each.required],
        "properties": {name: _property(each) for name, each in fields.items()},
    }
    dependencies = {name: list(each.needs) for name, each in fields.items() if each.needs}
    return schema | ({"dependencies": dependencies} if dependencies else {})


def _property(field_: Field) -> dict[str, Any]:
    types = field_.types.split()
    rule: dict[str, Any] = {"bsonType": types[0] if len(types) == 1 else types}
    if field_.of is not None:
        rule["items"] = {"bsonType": field_.of}
    if field_.values:
        rule["enum"] = list(field_.values)
    if field_.pattern is not None:
        rule["pattern"] = field_.pattern
    return rule


def json_schema(fields: Fields) -> dict[str, Any]:
    """Return the JSON schema of a document in an export, where times are texts in ISO 8601.

    No field is required: a document that is damaged, or of another version, is exported as it is.
    """
    named = {name: _described(each) for name, each in fields.items() if not name.startswith("<")}
    others = [_described(each) for name, each in fields.items() if name.startswith("<")]
    schema: dict[str, Any] = {"type": "object"}
    return schema | ({"properties": named} if named else {}) | ({"additionalProperties": others[0]} if others else {})


_JSON_TYPES = {"date": "string", "int": "integer", "long": "integer", "bool": "boolean"}
"""The JSON types of BSON types that have another name."""


def _element(bson: str) -> dict[str, Any]:
    rule = {"type": _JSON_TYPES.get(bson, bson)}
    return rule | ({"format": "date-time"} if bson == "date" else {})


def _described(field_: Field) -> dict[str, Any]:
    bson = field_.types.split()
    types = list(dict.fromkeys(_JSON_TYPES.get(each, each) for each in bson))
    rule: dict[str, Any] = {"description": field_.meaning, "type": types[0] if len(types) == 1 else types}
    if "date" in bson:
        rule["format"] = "date-time"
    if "array" in bson:
        rule["items"] = _element(field_.of) if field_.of else json_schema(field_.fields)
    elif field_.fields:
        rule |= {name: each for name, each in json_schema(field_.fields).items() if name != "type"}
    return rule
