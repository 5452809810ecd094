"""Stripe's signatures: Stripe's own library is the oracle."""

import json
import random
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from stripe import SignatureVerificationError, WebhookSignature
from stripe import _webhook as stripe_webhook

from recovery.shops.adapter import NOT_SIGNED, Trust
from recovery.shops.stripe import TOLERANCE, Stripe
from tests.support.stripe_events import SECRET, body_of, completed, event, signature

BODY = body_of(completed())
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
AT = int(NOW.timestamp())


@pytest.fixture(autouse=True)
def _their_clock_stands(monkeypatch):
    """Stripe's library reads the clock of the machine: here both see the same time, however slow the machine is."""
    monkeypatch.setattr(stripe_webhook, "time", SimpleNamespace(time=lambda: float(AT)))


def fault(body, header, *secrets, now=NOW):
    """Return why the adapter does not accept a header."""
    return Stripe().signature_fault(body, {"stripe-signature": header}, Trust(now, secrets or (SECRET,)))


def their_fault(body, header, secret=SECRET):
    """Return why Stripe's library does not accept a header."""
    try:
        WebhookSignature.verify_header(body, header, secret, tolerance=TOLERANCE)
    except SignatureVerificationError as exc:
        return str(exc)
    return None


def test_a_thousand_bodies_are_accepted_and_refused_with_one_bit_changed():
    """Both verifiers agree on every body, and on every one with a bit of body, signature or secret changed."""
    rng = random.Random(1)
    for _ in range(1000):
        body = json.dumps({"id": rng.randbytes(rng.randrange(40)).hex(), "name": rng.choice("äé😀a")}).encode()
        header = signature(body, at=AT)
        assert (fault(body, header), their_fault(body, header)) == (None, None)
        changed = bytearray(body)
        changed[rng.randrange(len(body))] ^= 1 << rng.randrange(7)
        assert fault(bytes(changed), header) == NOT_SIGNED
        if _is_text(changed):
            assert their_fault(bytes(changed), header)
        other = f"{header[:-1]}{'0' if header[-1] != '0' else '1'}"
        assert (fault(body, other) == NOT_SIGNED, their_fault(body, other) is None) == (True, False)
        assert fault(body, header, SECRET[:-1] + "t") == NOT_SIGNED


def _is_text(body):
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_any_of_several_signatures_counts():
    """While a secret is rolled there are two of them, in either order, and perhaps one of another scheme."""
    for header in (signature(BODY, "old", SECRET, at=AT), signature(BODY, SECRET, "old", at=AT)):
        assert (fault(BODY, header), their_fault(BODY, header)) == (None, None)
        assert fault(BODY, f"{header},v0=abc") is None
    assert fault(BODY, signature(BODY, "old", at=AT), SECRET, "old") is None
    assert fault(BODY, signature(BODY, "old", "older", at=AT)) == NOT_SIGNED


def test_another_scheme_is_not_enough():
    """A `v0` is of Stripe's test mode alone."""
    header = signature(BODY, at=AT).replace("v1=", "v0=")
    assert fault(BODY, header) == NOT_SIGNED
    assert their_fault(BODY, header)


@pytest.mark.parametrize("late", [TOLERANCE, TOLERANCE + 1])
def test_a_recorded_request_is_refused(late):
    """A signature holds for five minutes; the fault says that it is too old, and not that it is wrong."""
    found = fault(BODY, signature(BODY, at=AT), now=NOW + timedelta(seconds=late))
    assert found is None if late == TOLERANCE else f"older than {TOLERANCE} seconds" in found


def test_a_wrong_signature_is_not_called_stale():
    """Nobody learns whether the time alone was wrong."""
    assert fault(BODY, signature(BODY, "wrong", at=0)) == NOT_SIGNED


def test_a_clock_that_is_behind_refuses_nothing():
    """Only what is too old is refused, as by Stripe's library: the time cannot be forged."""
    header = signature(BODY, at=AT + 3600)
    assert (fault(BODY, header), their_fault(BODY, header)) == (None, None)


@pytest.mark.parametrize(
    "time", ["", "x", "-1", "1.5", "٣", "9" * 12, f"{AT},t={AT}"], ids=["none", "x", "-1", "1.5", "٣", "long", "twice"]
)
def test_a_time_that_is_none_is_told(time):
    """It has to be in whole seconds, once."""
    assert "t=<unix seconds>" in fault(BODY, signature(BODY, at=AT).replace(f"t={AT}", f"t={time}"))


def test_the_signature_covers_the_time():
    """The time cannot be changed to make an old request new."""
    assert fault(BODY, signature(BODY, at=AT - 1000).replace(f"t={AT - 1000}", f"t={AT}")) == NOT_SIGNED


def test_bytes_that_are_no_text_are_verified_as_they_are():
    """The raw bytes are signed, whatever they are."""
    header = signature(body_of(event()), at=AT)
    assert fault(b"\xff" + body_of(event()), header) == NOT_SIGNED
