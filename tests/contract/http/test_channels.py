"""What the HTTP application notes of each shop: every way to report, and every answer."""

import pytest

from recovery.domain.channels import Answer, Heard
from recovery.http.channels import ChannelCounts
from tests.support.api import CHECKOUT, ORDER, SHOPIFY, Api

BIKES, SHOP = "bikes.example", "a.myshopify.com"


@pytest.fixture
def api():
    """An API that counts by channel."""
    counts = ChannelCounts()
    api = Api(channels=counts)
    api.heard = counts.taken
    return api


async def test_reports_are_heard_of_over_the_api(api):
    """Accepted and refused reports are of the shop that they name."""
    await api.post("/checkout", CHECKOUT)
    await api.post("/order", ORDER)
    await api.post("/checkout", {**CHECKOUT, "total": "secret-7"})
    accepted, refused = api.heard()
    assert accepted == Heard(BIKES, "api", Answer.ACCEPTED, 2)
    assert (refused.shop, refused.answer, refused.proven) == (BIKES, Answer.REFUSED, True)
    assert refused.reason.startswith("total is invalid")
    assert "secret" not in refused.reason


async def test_webhooks_are_heard_of_by_their_adapter(api):
    """What is ignored or not understood has its reason; a wrong signature proves nothing."""
    await api.webhook(SHOPIFY)
    await api.webhook(SHOPIFY, topic="products/update")
    await api.webhook({**SHOPIFY, "total_price": None})
    await api.webhook(SHOPIFY, secret="guess")
    accepted, ignored, unmapped, refused = api.heard()
    assert accepted == Heard(SHOP, "shopify", Answer.ACCEPTED, 1)
    assert (ignored.answer, bool(ignored.reason)) == (Answer.IGNORED, True)
    assert unmapped.answer is Answer.UNMAPPED
    assert unmapped.reason.startswith("total_price: ")
    assert (refused.answer, refused.proven) == (Answer.REFUSED, False)
    assert "signature" in refused.reason


async def test_a_wrong_key_is_heard_of_from_nobody(api):
    """Without a key the body is not read, so no shop is known."""
    await api.post("/checkout", CHECKOUT, Authorization="Bearer wrong")
    assert api.heard() == []
