"""Checkouts as documents, and back.

Reports are read strictly, what is kept forgivingly: a version of Recovery that is newer or older may have written it.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from recovery.domain.state import CheckoutState, Claim, Message
from recovery.engine.writes import Unreadable

SCHEMA = 1
"""What this version writes. A version that writes what this one must not touch puts a higher number into `schema`."""

_ZONE = ("facts", "time_zone")


def read(document: Mapping[str, Any]) -> CheckoutState | Unreadable:
    """Return the checkout that a document holds, or what is wrong with it, naming the field.

    Fields that this version does not know are passed over. So is a time zone that this machine's tz database lacks: the
    schedule's takes its place.
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


def written(value: Message | Claim) -> dict[str, Any]:
    """Return a message or a claim as it is kept: nothing that was left out, times as dates."""
    return value.model_dump(exclude_none=True)
