"""Going live, asked of a real DNS server: what its answers come to, and that no answer is not "no record"."""

import subprocess

import pytest

from recovery.checks.deliverability import examine, mailing_of
from recovery.checks.dns import look_up
from recovery.checks.dns_records import DnsAnswer
from recovery.checks.finding import Severity
from recovery.mail.dkim import load_key
from recovery.settings import load_settings
from tests.support.dns_server import ERROR, SILENCE, DnsServer


async def test_records_are_read():
    """Text in several strings is one, an MX is its preference and host, and several records are all there."""
    records = {
        ("a.shop.test", "TXT"): ['"v=spf1 " "~all"', '"other"'],
        ("a.shop.test", "MX"): ["10 mx.shop.test."],
    }
    async with DnsServer(records) as server:
        texts = await look_up(("a.shop.test", "TXT"), server.address)
        hosts = await look_up(("a.shop.test", "MX"), server.address)
    assert sorted(texts.records) == ["other", "v=spf1 ~all"]
    assert hosts == DnsAnswer(("10 mx.shop.test.",))


@pytest.mark.parametrize("name", ["nobody.shop.test", "here.shop.test"])
async def test_no_record_is_an_answer(name):
    """A name that is not there, and one that has other records only, have no record: that is known."""
    async with DnsServer({("here.shop.test", "A"): ["127.0.0.1"]}) as server:
        assert await look_up((name, "TXT"), server.address) == DnsAnswer()


@pytest.mark.parametrize(
    ("says", "why"), [(SILENCE, "did not answer for shop.test within 0.2 s"), (ERROR, "answer with an error")]
)
async def test_no_answer_is_told_apart(says, why):
    """After a timeout or a server error, the records are unknown, not missing."""
    async with DnsServer({("shop.test", "TXT"): says}) as server:
        answer = await look_up(("shop.test", "TXT"), server.address, timeout=0.2)
    assert answer.records == ()
    assert why in answer.fault


@pytest.mark.parametrize("name", ["a..b", f"{'x' * 64}.test", f"{'x.' * 130}test"])
async def test_an_invalid_name_is_reported(name):
    """An invalid DNS name is reported as a fault, not raised."""
    async with DnsServer({}) as server:
        assert (await look_up((name, "TXT"), server.address)).fault


@pytest.mark.parametrize("name", ["Lamps, Ltd", '"Lamps, Ltd"', "Lamps (Berlin)", "Lämpchen"])
def test_the_sender_may_have_any_name(name):
    """The domain that is checked is that of the address, whatever stands before it."""
    settings = load_settings(mail={"sender": f"{name} <shop@lämpchen.example>", "reply_to": "Shop: A <a@b.example>"})
    mailing = mailing_of(settings)
    assert (mailing.sender, mailing.reply_to) == ("xn--lmpchen-5wa.example", "b.example")


@pytest.fixture
def key_file(tmp_path):
    """A new key of openssl's making."""
    subprocess.run(["openssl", "genrsa", "-out", tmp_path / "dkim.pem", "2048"], check=True, capture_output=True)
    return tmp_path / "dkim.pem"


async def test_a_shop_that_is_ready(key_file):
    """With its records in the DNS and its DKIM key, the mails pass every check."""
    public = load_key(key_file).public
    settings = load_settings(
        mail={"sender": "Lamp Shop <hello@lamps.zone>", "reply_to": "help@läden.zone"},
        smtp={"host": "relay.zone", "port": 587, "tls": "starttls"},
        dkim={"domain": "lamps.zone", "selector": "mails", "private_key_file": str(key_file)},
    )
    records = {
        ("lamps.zone", "TXT"): ['"v=spf1 include:relay.zone ~all"'],
        ("_dmarc.lamps.zone", "TXT"): ['"v=DMARC1; p=none"'],
        ("lamps.zone", "MX"): ["10 mx.lamps.zone."],
        ("xn--lden-loa.zone", "MX"): ["10 mx.lamps.zone."],
        ("mails._domainkey.lamps.zone", "TXT"): [f'"v=DKIM1; k=rsa; p={public[:200]}" "{public[200:]}"'],
    }
    async with DnsServer(records) as server:
        found = {each.check: each async for each in examine(settings, server.address)}
    assert [check for check, each in found.items() if each.severity is Severity.ERROR] == ["one-click unsubscribe"]
    assert "matches dkim.private_key_file" in found["DKIM key at mails._domainkey.lamps.zone"].detail


async def test_each_shop_is_worked_through():
    """What a shop has otherwise is judged as well, under its name."""
    shops = {"lamps.example": {"mail": {"sender": "Lamps <shop@lamps.zone>"}}}
    async with DnsServer({}) as server:
        found = [finding.check async for finding in examine(load_settings(shops=shops), server.address)]
    assert "the sender is the shop's own" in found
    assert "lamps.example: the sender is the shop's own" in found
