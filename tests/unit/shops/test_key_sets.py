"""Published keys, and detached signatures by them: PyJWT, which Saleor signs with, is the oracle."""

import base64
import json
import random

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm
from pydantic import ValidationError

from recovery.shops.key_sets import is_signed_by, key_id_of, read_key_set
from tests.support.signatures import KEY, OTHER_KEY, detached, detached_with, jwk, published

BODY = b'{"id": 1}'
KEYS = read_key_set(published("1", KEY))


def test_what_pyjwt_signs_is_accepted():
    """The signature that Saleor makes is that of the body, and names its key."""
    assert is_signed_by(KEYS, BODY, detached(BODY))
    assert key_id_of(detached(BODY)) == "1"


def test_of_a_thousand_bodies_each_is_accepted_and_refused_with_one_bit_changed():
    """Both verifiers agree on what is signed, and on what was changed by a single bit."""
    rng = random.Random(1)
    for _ in range(1000):
        body = rng.randbytes(rng.randrange(1, 400))
        signature = detached(body)
        assert jwt.api_jws.decode_complete(signature, KEY.public_key(), ["RS256"], detached_payload=body)
        assert is_signed_by(KEYS, body, signature)
        changed = bytearray(body)
        changed[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        with pytest.raises(jwt.InvalidSignatureError):
            jwt.api_jws.decode_complete(signature, KEY.public_key(), ["RS256"], detached_payload=bytes(changed))
        assert not is_signed_by(KEYS, bytes(changed), signature)


def test_no_character_of_a_signature_may_differ():
    """Each character of header and signature counts, the last one with its spare bits too."""
    signature = detached(BODY)
    for at, character in enumerate(signature):
        other = "B" if character == "A" else "A"
        assert not is_signed_by(KEYS, BODY, signature[:at] + other + signature[at + 1 :]), at


def test_a_signature_has_one_spelling():
    """The last character has four bits to spare: with one of them set it is another text, of the same bytes."""
    signature = detached(BODY)
    other = chr(ord(signature[-1]) + 1)
    assert base64.urlsafe_b64decode(f"{signature[-6:-1]}{other}==") == base64.urlsafe_b64decode(f"{signature[-6:]}==")
    assert not is_signed_by(KEYS, BODY, signature[:-1] + other)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "..",
        detached_with({"alg": "RS256", "kid": "1", "crit": ["b64"]}, BODY),
        "a.b.c",
        "é..é",
        detached(BODY, OTHER_KEY),
        detached(BODY, kid="2"),
        detached(BODY, algorithm="RS512"),
        detached(BODY, algorithm="PS256"),
        detached_with({"alg": "RS256", "kid": "1", "crit": ["b64"], "b64": True}, BODY),
        detached_with({"alg": "RS256", "kid": "1", "crit": ["b64", "exp"], "b64": False}, BODY),
        detached_with({"alg": "RS256", "kid": "1", "b64": False}, BODY),
        jwt.api_jws.encode(BODY, "1" * 64, algorithm="HS256", headers={"kid": "1"}, is_payload_detached=True),
        jwt.api_jws.encode(BODY, KEY, algorithm="RS256", headers={"kid": "1"}),
        base64.urlsafe_b64encode(b'{"alg":"none","kid":"1","b64":false,"crit":["b64"]}').rstrip(b"=").decode() + "..",
        detached(BODY) + "=",
        detached(BODY) + "A" * 5000,
    ],
)
def test_anything_else_is_refused(signature):
    """Another key, algorithm or demand, a body that is part of the token, and what is no signature at all."""
    assert not is_signed_by(KEYS, BODY, signature)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (name, value)
        for name in ("alg", "kid", "crit", "b64")
        for value in (None, 1, [], {}, "1")
        if (name, value) != ("kid", "1")  # which is the right one
    ],
)
def test_a_header_of_another_shape_is_refused(name, value):
    """A field of a wrong type raises nothing."""
    header = {"alg": "RS256", "kid": "1", "crit": ["b64"], "b64": False}
    assert is_signed_by(KEYS, BODY, detached_with(header, BODY))
    assert not is_signed_by(KEYS, BODY, detached_with(header | {name: value}, BODY))


def test_only_keys_that_fit_are_taken():
    """Keys of other kinds, for other uses, too short, or unreadable are left out; the others stay."""
    whole = jwk("1", KEY)
    curve = {**ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True), "kid": "2"}
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    others = [
        curve,
        jwk("3", short),
        {**whole, "kid": "4", "use": "enc"},
        {**whole, "kid": "5", "alg": "PS256"},
        {**whole, "kid": ""},
        {**whole, "kid": "6", "n": "é"},
        {**whole, "kid": "7", "e": None},
        {**whole, "kid": "8", "e": "Ag"},
        *([], None, 1, {}),
    ]
    assert list(read_key_set(json.dumps({"keys": [*others, whole]}).encode())) == ["1"]


@pytest.mark.parametrize("document", [b"", b"[]", b"{}", b'{"keys": 1}', b'{"keys": [' + b"1," * 50 + b"1]}", b"\xff"])
def test_what_is_no_key_set_is_refused(document):
    """A page of an error in place of the keys is no set without keys."""
    with pytest.raises(ValidationError):
        read_key_set(document)
