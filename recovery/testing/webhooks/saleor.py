"""Saleor's webhooks, with what the adapter's subscription query asks for, signed by a key of this process alone."""

import json
from base64 import urlsafe_b64encode
from decimal import Decimal
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256

from recovery.testing.webhooks.sample import LATEST, SHOP, Cart, Webhook, encoded

KEY_ID = "test"


def checkout(cart: Cart | None = None, *, shop: str = SHOP, **more: Any) -> Webhook:
    """Return the webhook of a checkout. `more` are its fields."""
    cart = cart or Cart()
    gross = {"amount": float(cart.price)}
    line = {
        "quantity": cart.quantity,
        "unitPrice": {"gross": gross},
        "variant": {"name": "", "product": {"name": cart.item}},
    }
    body = {
        "id": cart.order_id,
        "email": cart.email,
        "updatedAt": LATEST.isoformat(),
        "languageCode": "EN",
        "billingAddress": _person(cart),
        "lines": [line],
        "totalPrice": {"gross": _total(cart)},
    }
    return _webhook("checkout", "checkout_updated", shop, {**body, **cart.more, **more})


def order(cart: Cart | None = None, *, shop: str = SHOP, **more: Any) -> Webhook:
    """Return the webhook of a paid order. `more` are its fields."""
    cart = cart or Cart()
    line = {
        "quantity": cart.quantity,
        "productName": cart.item,
        "unitPrice": {"gross": {"amount": float(cart.price)}},
    }
    body = {
        "id": f"order-of-{cart.order_id}",
        "checkoutId": cart.order_id,
        "created": LATEST.isoformat(),
        "status": "UNFULFILLED",
        "origin": "CHECKOUT",
        "isPaid": True,
        "userEmail": cart.email,
        "languageCodeEnum": "EN",
        "billingAddress": _person(cart),
        "lines": [line],
        "total": {"gross": _total(cart)},
    }
    return _webhook("order", "order_created", shop, {**body, **cart.more, **more})


def key_set() -> bytes:
    """Return the public key as a shop publishes it (RFC 7517)."""
    numbers = _key().public_key().public_numbers()
    key = {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": KEY_ID, "n": _number(numbers.n), "e": _number(numbers.e)}
    return json.dumps({"keys": [key]}).encode()


@cache
def _key() -> RSAPrivateKey:
    return generate_private_key(public_exponent=65537, key_size=2048)


def _person(cart: Cart) -> dict[str, str]:
    first, _, last = cart.name.partition(" ")
    return {"firstName": first, "lastName": last}


def _total(cart: Cart) -> dict[str, Any]:
    return {"amount": float(Decimal(cart.price) * cart.quantity), "currency": cart.currency}


def _webhook(kind: str, event: str, shop: str, body: dict[str, Any]) -> Webhook:
    content = encoded({kind: body}, {})
    header = _base64(json.dumps({"alg": "RS256", "kid": KEY_ID, "b64": False, "crit": ["b64"]}).encode())
    signature = _base64(_key().sign(header.encode() + b"." + content, PKCS1v15(), SHA256()))
    headers = {
        "Content-Type": "application/json",
        "Saleor-Event": event,
        "Saleor-Signature": f"{header}..{signature}",
    }
    return Webhook(f"/webhooks/saleor/{shop}", headers, content)


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _number(value: int) -> str:
    return _base64(value.to_bytes((value.bit_length() + 7) // 8, "big"))
