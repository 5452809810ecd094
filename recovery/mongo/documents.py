"""Checkouts as documents, and back."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from recovery.checkout import CheckoutState, Claim, Message
from recovery.ports import Unreadable


def read(document: Mapping[str, Any]) -> CheckoutState | Unreadable:
    """Return the checkout that a document holds, or what is wrong with it, naming the field."""
    try:
        return CheckoutState.model_validate(document)
    except ValidationError as exc:
        fault = exc.errors(include_url=False, include_input=False, include_context=False)[0]
        return Unreadable(document["_id"], f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}")


def written(value: Message | Claim) -> dict[str, Any]:
    """Return a message or a claim as it is kept: nothing that was left out, times as dates."""
    return value.model_dump(exclude_none=True)
