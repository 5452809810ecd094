"""Whose receiver a report counts for: it is slowed by what is counted, and anybody can write a report."""

import pytest

from recovery.http.inbound.bounces import _statements
from recovery.http.inbound.statements import Taker, of_event
from recovery.mail.bounce_words import BounceKind
from tests.support.bounce_api import ADA, delivery
from tests.support.feedback import feedback

SHOP = "shop.example"


class Reports:
    """Takes reports as the endpoint does, and notes what is counted for receivers."""

    def __init__(self):
        self.feedback = feedback()
        self.links = self.feedback.links.default
        self.counted = []
        self.taker = Taker(self.feedback, self)

    def bounced(self, kind):
        pass

    def blocked(self, domain):
        pass

    def returned(self, *what):
        self.counted.append(what)

    async def mail(self, number=1, email=ADA, **said):
        """Take a delivery report by mail."""
        request = type("Request", (), {"headers": {"content-type": "message/rfc822"}})
        await self.taker.take(_statements(request, delivery(number=number, email=email, **said), self.feedback))

    async def event(self, kind, number):
        """Take an event of a provider."""
        found = of_event(self.feedback, kind, ADA, words="", report=str(number), shop=SHOP)
        await self.taker.take([found])


@pytest.fixture
def reports():
    return Reports()


async def test_a_repeated_report_is_counted_once(reports):
    """Who has one mail of ours can write reports of it by the dozen."""
    for number in range(3):
        await reports.mail(number, to=reports.links.return_path(SHOP, ADA))
    for number in range(3):
        await reports.event(BounceKind.COMPLAINT, number)
    assert reports.counted == [(None, "example.com", "hard"), (SHOP, "example.com", "complaint")]


@pytest.mark.parametrize(
    ("mark", "counted"), [("unsubscribe", (SHOP, "example.com", "hard")), ("return_path", (None, "", "hard"))]
)
async def test_a_report_does_not_choose_the_receiver(reports, mark, counted):
    """It counts for the domain that we wrote to, and for none if only the report says which that is."""
    token = getattr(reports.links, mark)(SHOP, ADA)
    await reports.mail(original=f"X-Mark: <{token}>", email="anybody@big.example")
    assert reports.counted == [counted]


async def test_each_report_of_blocked_mail_is_counted(reports):
    """It suppresses nobody, so nothing is known of an earlier one; and it slows no receiver."""
    for number in range(2):
        await reports.mail(number, status="5.7.1", to=reports.links.return_path(SHOP, ADA))
    assert reports.counted == [(None, "example.com", "blocked")] * 2
