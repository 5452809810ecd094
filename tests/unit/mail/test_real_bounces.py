"""Bounces that some sixty mail systems wrote: most are read as what they are, and nobody is called dead who is not."""

import pytest

from tests.support.bounce_families import tallied
from tests.support.collected import collected


@pytest.fixture(scope="module")
def tallies():
    return tallied(collected("bounces"))


def test_real_bounces_call_nobody_dead_who_is_not(tallies):
    """None that is not about a dead address is hard."""
    assert [wrong for wrong in tallies["all"].wrong if "read as ['hard" in wrong and ": hard" not in wrong] == []
    assert tallies["all"].false_hard == 0


def test_real_bounces_are_read(tallies):
    """At least nine of ten are read as what they are."""
    assert tallies["all"].right / tallies["all"].mails > 0.9, tallies["all"].wrong


@pytest.mark.parametrize(
    ("family", "share"),
    [
        *(("Postfix", 0.85), ("Sendmail", 0.9), ("Exim", 0.9), ("qmail", 0.95), ("OpenSMTPD", 0.85)),
        *(
            ("DragonFly", 0.95),
            ("Gmail, Google Workspace", 0.9),
            ("Yahoo, AOL", 0.9),
            ("Mail.ru, Yandex, Zoho, GMX", 0.95),
        ),
    ],
)
def test_every_family_is_read(tallies, family, share):
    """Also of the families that write free text, most are read as what they are."""
    assert tallies[family].right / tallies[family].mails >= share, tallies[family].wrong
