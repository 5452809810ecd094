"""A customer's address: worked out once, and the same in whatever is found, compared, sealed or suppressed by it."""

from datetime import timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from recovery import Customer
from recovery.domain import checkout
from recovery.domain.decision import Send
from recovery.domain.fields import normalised
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.pseudonyms import Pseudonyms
from recovery.engine.writes import claimed, completed
from recovery.mail.links import UNSUBSCRIBE, Links
from recovery.mail.seals import Seals, base32
from recovery.mongo.intake import checkout_write
from tests.support.builders import NOON, report, schedule, state

KEY, SHOP = "a key of some length", "shop.example"
LOCAL = st.text("aZ9.+-ßẞſİıΣςéE\u0301ﬁÅå", min_size=1, max_size=30)
DOMAINS = st.sampled_from(["Example.com", "BÜCHER.example", "straße.de", "xn--bcher-kva.example"])


def customer(email):
    try:
        return Customer(email=email)
    except ValidationError:
        assume(False)


def stored_address(found):
    """Return the address in the write of a report."""
    (replaced,) = checkout_write(report(customer=found)).update
    return replaced["$replaceWith"]["$let"]["vars"]["address"]["$literal"]


@settings(deadline=None)
@given(LOCAL, DOMAINS)
def test_everything_is_kept_under_the_normalised_address(local, domain):
    """Stored field, unsubscribe link, return path, pseudonyms and dead letter are those of the e-mail address."""
    found = customer(f"{local}@{domain}")
    expected, seals, pseudonyms = normalised(found.email), Seals([KEY]), Pseudonyms([KEY, "another"])
    links = Links(seals, pseudonyms, base_url="https://mail.example", return_path="b@mail.example")
    assert found.address == expected == stored_address(found)
    sealed = seals.seal_text("unsubscribe", f"{SHOP}/{expected}")
    assert links.unsubscribe(SHOP, found.address) == f"https://mail.example{UNSUBSCRIBE}{sealed}"
    sealed = seals.seal("return path", bytes.fromhex(pseudonyms.of(found.email)))
    assert links.return_path(SHOP, found.address) == f"b+{base32(sealed)}@mail.example"
    assert pseudonyms.all(found.address) == pseudonyms.all(found.email)
    assert pseudonyms.also(found.address) == pseudonyms.also(expected)
    due = state(facts={**report().facts(), "customer": {"email": found.email}})
    plan = schedule()
    request = claimed(due, Send(plan.steps[0], NOON, "due"), plan, "token", "me", NOON)
    dead = completed(request, Outcome(OutcomeKind.DEAD_ADDRESS, "550 no such user"), NOON + timedelta(minutes=1), 0.0)
    assert dead.letter.address == expected


def test_an_address_is_worked_out_once(monkeypatch):
    """Whoever asks a customer for the address again gets what was worked out before."""
    asked = []
    monkeypatch.setattr(checkout, "normalised", lambda email: asked.append(email) or normalised(email))
    ada = Customer(email="Ada@BÜCHER.example")
    assert ada.address == ada.address == "ada@xn--bcher-kva.example"
    assert len(asked) == 1


def test_the_address_is_no_field():
    """Nothing is stored, sent or compared that was not reported."""
    ada, same = Customer(email="Ada@example.com"), Customer(email="Ada@example.com")
    assert ada.address == "ada@example.com"
    assert ada == same
    assert same == ada
    assert hash(ada) == hash(same)
    assert ada.model_dump() == {"email": "Ada@example.com", "name": None}
    assert report(customer=ada).facts()["customer"] == {"email": "Ada@example.com"}
    with pytest.raises(ValidationError):
        Customer(email="ada@example.com", address="ben@example.com")
