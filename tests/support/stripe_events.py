"""Events of Stripe Checkout, written after the shapes of API version 2026; and Stripe's own signature of a body."""

import json
import time

from stripe import WebhookSignature

SECRET = "whsec_of_the_tests"
CREATED = 1_772_366_700
"""2026-03-01T12:05:00Z."""

SESSION = {
    "id": "cs_test_a1B2c3",
    "object": "checkout.session",
    "mode": "payment",
    "status": "expired",
    "payment_status": "unpaid",
    "amount_subtotal": 3980,
    "amount_total": 4470,
    "currency": "eur",
    "locale": "de",
    "livemode": False,
    "created": CREATED - 86_400,
    "expires_at": CREATED,
    "customer": None,
    "customer_email": None,
    "customer_details": {"email": "Ada@example.com", "name": "Ada Lovelace", "phone": None, "address": None},
    "consent": {"promotions": "opt_in", "terms_of_service": None},
    "consent_collection": {"promotions": "auto", "terms_of_service": "none"},
    "after_expiration": {
        "recovery": {
            "enabled": True,
            "url": "https://buy.stripe.com/r/live_asAb1724",
            "expires_at": CREATED + 30 * 86_400,
            "allow_promotion_codes": False,
        }
    },
    "recovered_from": None,
    "metadata": {},
    "total_details": {"amount_discount": 0, "amount_shipping": 490, "amount_tax": 714},
    "url": None,
}


def event(kind="expired", *, at=CREATED, **changes):
    """Return the event `checkout.session.<kind>` of a session with these changes."""
    return {
        "id": "evt_1Pgc76B7WZ01zgkWwyRHS12y",
        "object": "event",
        "api_version": "2026-03-25",
        "created": at,
        "type": f"checkout.session.{kind}",
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "data": {"object": {**SESSION, **changes}},
    }


def completed(**changes):
    """Return the event of a session that was paid."""
    done = {"status": "complete", "payment_status": "paid"}
    return event("completed", **{**done, **changes})


def body_of(payload):
    """Return an event as bytes, as Stripe writes them: indented."""
    return json.dumps(payload, indent=2).encode()


def signature(body, *secrets, at=None):
    """Return the header by Stripe's own library: one `v1` for each secret."""
    at = int(time.time()) if at is None else at
    made = [WebhookSignature.generate_signature_header(body.decode(), secret, at) for secret in secrets or (SECRET,)]
    return ",".join([made[0], *(each.partition(",")[2] for each in made[1:])])
