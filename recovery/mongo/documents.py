"""Conversion between checkouts and documents.

Reports are validated strictly, documents leniently: a newer or older version of Recovery may have written them.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from recovery.domain.state import CheckoutState, Claim, Message
from recovery.engine.writes import Unreadable

SCHEMA = 1
"""The schema version of documents. One with a higher `schema` is from a newer version and must not be touched."""

_ZONE = ("facts", "time_zone")


def read(document: Mapping[str, Any]) -> CheckoutState | Unreadable:
    """Return the checkout in a document, or an `Unreadable` that names the faulty field.

    Unknown fields are ignored. So is a time zone that this machine's tz database lacks: the schedule's is used.
    """
    schema = document.get("schema", SCHEMA)
    if isinstance(schema, int) and schema > SCHEMA:
        return Unreadable(document["_id"], f"written by a newer version, with schema {schema}", newer=True)
    try:
        return CheckoutState.model_validate(document, extra="ignore")
    except ValidationError as exc:
        faults = exc.errors(include_url=False, include_input=False, include_context=False)
    if all(fault["loc"] == _ZONE for fault in faults):
        facts = {name: value for name, value in document["facts"].items() if name != "time_zone"}
        return read({**document, "facts": facts})
    return Unreadable(
        document["_id"],
        f"{'.'.join(map(str, faults[0]['loc']))}: {faults[0]['msg']}",
        document.get("revision"),
        document.get("next_at"),
    )


def to_document(value: Message | Claim) -> dict[str, Any]:
    """Return a message or a claim as a document: without unset fields, times as dates."""
    return value.model_dump(exclude_none=True)
