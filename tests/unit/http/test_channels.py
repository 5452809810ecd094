"""Counts of what shops report: whose, why, and their bounds."""

import pytest

from recovery.domain.channels import Answer, Heard
from recovery.http.channels import MOST, MOST_UNPROVEN, ChannelCounts


def test_reports_of_a_shop_are_counted_by_channel_and_answer():
    """Both reports of the API are one channel; an adapter's webhooks are another."""
    counts = ChannelCounts()
    counts.note("checkout", 202, {"shop": "a.example"})
    counts.note("order", 202, {"shop": "a.example"})
    counts.note("shopify", 200, {"shop": "a.example", "answer": "ignored", "reason": "not about a checkout"})
    counts.note("shopify", 200, {"shop": "a.example", "answer": "unmapped", "reason": "id: is missing"})
    counts.note("checkout", 422, {"shop": "a.example", "reason": "total is invalid"})
    assert counts.taken() == [
        Heard("a.example", "api", Answer.ACCEPTED, 2),
        Heard("a.example", "shopify", Answer.IGNORED, 1, "not about a checkout"),
        Heard("a.example", "shopify", Answer.UNMAPPED, 1, "id: is missing"),
        Heard("a.example", "api", Answer.REFUSED, 1, "total is invalid"),
    ]
    assert counts.taken() == []


def test_the_last_reason_counts_and_names_nobody():
    """Of several reasons the last is kept, on one line, without addresses, and cut."""
    counts = ChannelCounts()
    for reason in ("first", "no\nada@example.com " + "x" * 500):
        counts.note("checkout", 422, {"shop": "a.example", "reason": reason})
    (heard,) = counts.taken()
    assert heard.times == 2
    assert heard.reason.startswith("no … xxx")
    assert len(heard.reason) == 200


@pytest.mark.parametrize(
    ("kind", "status", "state"),
    [
        ("checkout", 202, {}),
        ("checkout", 422, {"shop": None}),
        ("checkout", 422, {"shop": "x" * 101}),
        ("checkout", 422, {"shop": "…/x"}),
        ("checkout", 422, {"shop": "a/b"}),
        ("checkout", 503, {"shop": "a.example"}),
        ("bounce", 200, {"shop": "a.example"}),
    ],
)
def test_what_says_nothing_about_a_shop_is_left_out(kind, status, state):
    """Reports without a shop, faults of ours, and bounces are not counted."""
    counts = ChannelCounts()
    counts.note(kind, status, state)
    assert counts.taken() == []


def test_a_stranger_proves_nothing():
    """A refused signature is unproven, unless the shop has settings of its own."""
    counts = ChannelCounts(known=["known.example"])
    for shop in ("known.example", "invented.example"):
        counts.note("shopify", 401, {"shop": shop, "reason": "signature"})
    counts.note("checkout", 403, {"shop": "other.example", "reason": "key"})
    assert {each.shop: each.proven for each in counts.taken()} == {
        "known.example": True,
        "invented.example": False,
        "other.example": False,
    }


def test_strangers_take_no_room_from_shops():
    """However many shops are invented, memory is bounded, and real ones are still counted."""
    counts = ChannelCounts()
    for number in range(3 * MOST):
        counts.note("shopify", 401, {"shop": f"invented-{number}"})
    counts.note("checkout", 202, {"shop": "a.example"})
    heard = counts.taken()
    assert len(heard) == MOST_UNPROVEN + 1
    assert heard[-1].shop == "a.example"
    for number in range(3 * MOST):
        counts.note("checkout", 202, {"shop": f"real-{number}"})
    assert len(counts.taken()) == MOST


def test_what_could_not_be_stored_is_counted_again():
    """Counts that are taken back are added to newer ones, whose reason is the last."""
    counts = ChannelCounts()
    counts.note("checkout", 422, {"shop": "a.example", "reason": "older"})
    counts.note("order", 202, {"shop": "b.example"})
    heard = counts.taken()
    counts.note("checkout", 422, {"shop": "a.example", "reason": "newer"})
    counts.count_again(heard)
    assert counts.taken() == [
        Heard("a.example", "api", Answer.REFUSED, 2, "newer"),
        Heard("b.example", "api", Answer.ACCEPTED, 1),
    ]


@pytest.mark.parametrize("shop", ["\ud83d", "a b", "a/b", "x" * 101, ""])
def test_what_cannot_be_a_shop_is_not_counted(shop):
    """A refused report may name anything: half an emoji cannot even be stored."""
    counts = ChannelCounts()
    counts.note("checkout", 422, {"shop": shop})
    assert counts.taken() == []


def test_a_reason_is_text_that_can_be_stored():
    """Half an emoji in it is replaced."""
    counts = ChannelCounts()
    counts.note("checkout", 422, {"shop": "lamps.example", "reason": "name \ud83d is not valid"})
    [heard] = counts.taken()
    assert heard.reason.encode()
