"""`recovery check --shops`: what it says of each shop."""

from recovery.checks.shops import findings
from recovery.domain.channels import Answer
from recovery.mongo.channels import Answered, Channel
from tests.support.builders import NOON, minutes

ACCEPTED = Answered(1204, NOON)


def test_a_shop_that_reports_is_well():
    """Each channel says how many reports were accepted, and when the last was, with what was ignored and why."""
    ignored = Answered(3, NOON + minutes(1), "nothing follows from orders/edited.")
    known = [
        Channel("a.example", "api", {Answer.ACCEPTED: ACCEPTED}),
        Channel("a.example", "shopify", {Answer.ACCEPTED: ACCEPTED, Answer.IGNORED: ignored}),
    ]
    over_http, over_shopify = findings(known, {"a.example": NOON}, {})
    assert (over_http.check, over_http.severity) == ("a.example over the HTTP API", "ok")
    assert over_http.detail == "1,204 accepted, the last at 2126-03-05 12:00:00 UTC"
    assert (over_shopify.check, over_shopify.severity) == ("a.example over shopify", "ok")
    assert over_shopify.detail.endswith(
        "; 3 ignored, the last at 2126-03-05 12:01:00 UTC (nothing follows from orders/edited)"
    )


def test_a_shop_whose_last_report_was_lost_is_a_warning():
    """What was refused or not understood matters until something is accepted again."""
    for answer in (Answer.REFUSED, Answer.UNMAPPED):
        lost = {answer: Answered(2, NOON + minutes(5), "the signature is wrong")}
        (before,) = findings([Channel("a.example", "shopify", {Answer.ACCEPTED: ACCEPTED} | lost)], {}, {})
        assert before.severity == "warning"
        assert "the signature is wrong" in before.text
        later = {Answer.ACCEPTED: Answered(1205, NOON + minutes(6))}
        (after,) = findings([Channel("a.example", "shopify", later | lost)], {}, {})
        assert after.severity == "ok"
        assert "the signature is wrong" in after.detail


def test_shops_that_are_not_heard_of_over_http_are_named():
    """A shop with settings that never reported is a warning; one that reports from Python says so."""
    found = findings([], {"python.example": NOON}, {"silent.example": object()})
    assert [(each.check, each.severity) for each in found] == [("python.example", "ok"), ("silent.example", "warning")]
    assert "2126-03-05 12:00:00 UTC" in found[0].detail


def test_an_empty_installation_says_so():
    """Without any shop there is one warning."""
    (found,) = findings([], {}, {})
    assert found.severity == "warning"
