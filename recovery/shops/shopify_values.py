"""Values in Shopify's payloads: ids, carts, addresses."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recovery.domain.fields import Email
from recovery.shops.values import keys_of, object_of

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


def cart_of(payload: Mapping[str, Any]) -> str | None:
    """Return the token of the cart that a link to the checkout contains, or None."""
    return next(iter(keys_of(payload, "cart_token")), None)


def email_of(payload: Mapping[str, Any]) -> str | None:
    """Return the e-mail address of the customer that a payload names, or None if it is missing or invalid."""
    try:
        return _EMAIL.validate_python(object_of(payload.get("customer")).get("email"))
    except ValidationError:
        return None
