"""Values in Shopify's payloads: ids, carts, addresses."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recovery.domain.fields import Email
from recovery.shops.values import LONGEST_NAME as LONGEST_NAME
from recovery.shops.values import fact_of as fact_of
from recovery.shops.values import is_shop as is_shop
from recovery.shops.values import object_of as object_of
from recovery.shops.values import text_of as text_of
from recovery.shops.values import time_of as time_of
from recovery.shops.values import valid as valid

LONGEST_KEY = 190

_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


def keys_of(payload: Mapping[str, Any], *fields: str, prefix: str = "") -> tuple[str, ...]:
    """Return the ids in these fields: the first is the one to store it under, the others are aliases."""
    values = (payload.get(field) for field in fields)
    known = [str(each).strip() for each in values if isinstance(each, int | str) and not isinstance(each, bool)]
    return tuple(f"{prefix}{each}" for each in known if each and len(each) <= LONGEST_KEY and each.isprintable())


def cart_of(payload: Mapping[str, Any]) -> str | None:
    """Return the token of the cart that a link to the checkout contains, or None."""
    return next(iter(keys_of(payload, "cart_token")), None)


def email_of(payload: Mapping[str, Any]) -> str | None:
    """Return the e-mail address of the customer that a payload names, or None if it is missing or invalid."""
    try:
        return _EMAIL.validate_python(object_of(payload.get("customer")).get("email"))
    except ValidationError:
        return None
