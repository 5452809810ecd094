"""Signatures of shop platforms, made by their own libraries where there are some."""

import base64
import json

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from jwt.algorithms import RSAAlgorithm

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk(kid, key, **changes):
    """Return the public part of a key as a platform publishes it (RFC 7517)."""
    return {**RSAAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **changes}


def published(kid, key):
    """Return a key set of one key."""
    return json.dumps({"keys": [jwk(kid, key)]}).encode()


def detached(body, key=KEY, *, algorithm="RS256", **header):
    """Return a detached signature as Saleor makes it (RFC 7515 appendix F, RFC 7797)."""
    fields = {"b64": False, "crit": ["b64"], "kid": "1", **header}
    return jwt.api_jws.encode(body, key, algorithm=algorithm, headers=fields, is_payload_detached=True)


def detached_with(header, body, key=KEY):
    """Return a detached RS256 signature with any header, which no library would make."""
    protected = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=")
    signed = key.sign(protected + b"." + body, PKCS1v15(), SHA256())
    return f"{protected.decode()}..{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"
