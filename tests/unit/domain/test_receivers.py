"""Receivers: which provider takes the mail of an address, and whether a reply is in its words."""

import pytest

from recovery.domain.receivers import PROVIDERS, Receivers


@pytest.mark.parametrize(
    ("address", "receiver"),
    [
        ("ada@gmail.com", "google"),
        ("ada@GoogleMail.com", "google"),
        ("ada@outlook.com", "microsoft"),
        ("ada@hotmail.co.uk", "microsoft"),
        ("ada@live.nl", "microsoft"),
        ("ada@yahoo.com.br", "yahoo"),
        ("ada@yahoo.co.jp", "yahoo-japan"),
        ("ada@aol.com", "yahoo"),
        ("ada@me.com", "apple"),
        ("ada@gmx.net", "gmx"),
        ("ada@mail.ru", "mail.ru"),
        ("ada@vip.163.com", "netease"),
        ("ada@lamps.example", "lamps.example"),
        ("ada@sub.lamps.example", "sub.lamps.example"),
        ("ada@yahoo.lamps.example", "yahoo.lamps.example"),
        ("ada@notgmail.com", "notgmail.com"),
        ("ada@gmail.com.lamps.example", "gmail.com.lamps.example"),
    ],
)
def test_an_address_has_its_provider_or_its_own_domain_as_receiver(address, receiver):
    assert Receivers().of(address) == receiver
    assert Receivers().is_named(receiver) == ("." not in receiver or receiver == "mail.ru")


def test_settings_add_domains_to_a_provider_and_make_groups_of_their_own():
    receivers = Receivers({"google": ["workspace.example"], "school": ["pupils.example", "teachers.example"]})
    assert receivers.of("ada@workspace.example") == receivers.of("ada@gmail.com") == "google"
    assert receivers.of("ada@a.pupils.example") == receivers.of("ada@teachers.example") == "school"
    assert receivers.is_named("school")


def test_a_domain_that_the_settings_name_is_no_longer_its_providers():
    assert Receivers({"mine": ["me.com"]}).of("ada@me.com") == "mine"


@pytest.mark.parametrize("rule", ["*", ".", "", " ", "*.*", "com", ".com", "*.com", "co.uk", "*.co.uk", "@"])
def test_a_rule_that_matches_every_domain_is_an_error_that_says_so(rule):
    with pytest.raises(ValueError, match="would match every domain"):
        Receivers({"mine": [rule]})


@pytest.mark.parametrize("rule", ["ada@gmail.com", "*.gmail.com", "gmail com.org", "a/b.com", "gm*.com", "gmail..com"])
def test_a_rule_that_is_no_domain_is_an_error(rule):
    with pytest.raises(ValueError, match="must be a domain"):
        Receivers({"mine": [rule]})


def test_a_domain_in_two_groups_is_an_error_that_names_both():
    with pytest.raises(ValueError, match=r"lamps\.example is in two groups, one and two"):
        Receivers({"one": ["lamps.example"], "two": ["Lamps.example"]})


@pytest.mark.parametrize(
    ("receiver", "text"),
    [
        ("google", "421 4.7.28 Our system has detected an unusual rate of mail. k12-20020 - gsmtp"),
        ("google", "421 4.7.28 Try again later."),
        ("microsoft", "451 4.7.650 The mail server [192.0.2.1] has been temporarily rate limited"),
        ("microsoft", "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent (S3150)"),
        ("microsoft", "450 4.7.0 busy [AM1.eur05.prod.protection.outlook.com]"),
        ("yahoo", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred"),
        ("gmx", "421 mx.gmx.net Service not available"),
        ("lamps.example", "450 4.7.1 mx1.lamps.example: slow down"),
    ],
)
def test_a_reply_in_a_receivers_words_is_known(receiver, text):
    receivers = Receivers()
    assert receivers.are_words_of(receiver, text)
    assert not any(receivers.are_words_of(other, text) for other in PROVIDERS if other != receiver)


@pytest.mark.parametrize(
    "text",
    [
        "454 4.7.0 Throttling failure: Maximum sending rate exceeded.",
        "450 4.7.1 Error: too much mail from 192.0.2.1",
        "451 4.3.2 Please try again later",
        "421 4.7.2800 odd",
        "421 relay.shop.example too many messages, some 4.7.28.1",
    ],
)
def test_a_reply_without_a_receivers_words_is_nobodys(text):
    assert not any(Receivers().are_words_of(name, text) for name in (*PROVIDERS, "lamps.example"))
