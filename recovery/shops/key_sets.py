"""The public keys that a platform publishes (RFC 7517), and signatures by them (RFC 7515, RFC 7797)."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

PublicKeys = Mapping[str, RSAPublicKey]
"""The public keys of one shop, by their ids."""

MOST_KEYS = 20
SMALLEST_KEY, LARGEST_KEY = 2048, 8192
"""Bits of a key: the least that RFC 7518 section 3.3 allows, and what is checked in no time."""

LONGEST_SIGNATURE = 4096
"""Characters of a detached signature: one by the largest key has some 1,500."""


def _decoded(text: object) -> bytes:
    """Return base64url without padding as bytes. Raises `ValueError`."""
    if not isinstance(text, str) or not text.isascii() or "=" in text:
        raise ValueError("must be base64url without padding")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as exc:
        raise ValueError("must be base64url without padding") from exc
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != text.encode():
        raise ValueError("must be base64url without bits to spare")  # or one signature had several spellings
    return decoded


def _number(text: object) -> int:
    return int.from_bytes(_decoded(text))


_Number = Annotated[int, BeforeValidator(_number)]


class _Part(BaseModel):
    """A part of a key set or a signature. Built when the first one is read: most daemons serve no such platform."""

    model_config = ConfigDict(defer_build=True)


class _Key(_Part):
    kty: str
    kid: Annotated[str, Field(min_length=1, max_length=200)]
    n: _Number
    e: _Number
    use: str = "sig"
    alg: str = "RS256"


class _KeySet(_Part):
    keys: Annotated[list[Any], Field(max_length=MOST_KEYS)]


class _Header(_Part):
    alg: str
    kid: Annotated[str, Field(max_length=200)] = ""
    crit: tuple[str, ...] = ()
    b64: bool = True


def read_key_set(document: bytes) -> PublicKeys:
    """Return the keys of a key set that can sign with RS256. Raises `ValueError` if it is not a key set.

    A key of another kind, or one that cannot be read, is left out, as RFC 7517 section 5 asks.
    """
    found: dict[str, RSAPublicKey] = {}
    for each in _KeySet.model_validate_json(document).keys:
        try:
            key = _Key.model_validate(each)
            if (key.kty, key.use, key.alg) != ("RSA", "sig", "RS256"):
                continue
            if SMALLEST_KEY <= key.n.bit_length() <= LARGEST_KEY and key.e.bit_length() <= 32:
                found[key.kid] = RSAPublicNumbers(key.e, key.n).public_key()
        except ValueError:
            continue
    return found


def key_id_of(signature: str) -> str:
    """Return the id of the key that a detached signature names; empty if it cannot be read or names none."""
    found = _parts_of(signature)
    return found[0].kid if found else ""


def is_signed_by(keys: PublicKeys, body: bytes, signature: str) -> bool:
    """Return whether a detached signature, `<header>..<signature>`, is that of the body by one of these keys.

    Only RS256 over the body as it is (`"b64": false`), which `crit` must name and nothing else: whatever else a header
    demands is not known here, and must not be passed over (RFC 7515 section 4.1.11).
    """
    found = _parts_of(signature)
    if found is None:
        return False
    header, protected, signed = found
    key = keys.get(header.kid)
    if key is None or header.alg != "RS256" or header.b64 or header.crit != ("b64",):
        return False
    try:
        key.verify(signed, protected + b"." + body, PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


def _parts_of(signature: str) -> tuple[_Header, bytes, bytes] | None:
    parts = signature.split(".")
    if len(signature) > LONGEST_SIGNATURE or len(parts) != 3 or parts[1]:
        return None
    try:
        header = _Header.model_validate_json(_decoded(parts[0]), strict=True)
        return header, parts[0].encode(), _decoded(parts[2])
    except (ValidationError, ValueError):
        return None
