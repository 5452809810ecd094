"""The go-live list: the findings for records and settings, and that each fault says how to fix it."""

from dataclasses import replace

import pytest

from recovery.checks.dns_records import Dmarc, DnsAnswer, PublicKey, dkim, mx, spf
from recovery.checks.finding import Severity
from recovery.checks.rules import Mailing, judge, questions

NOTHING = DnsAnswer()
SILENT = DnsAnswer(fault="the DNS did not answer")
KEY = PublicKey("shop.zone", "mails", "rsa", "MIIBIjAN")
READY = Mailing(
    sender="shop.zone",
    reply_to=None,
    return_path=None,
    key=KEY,
    relay="relay.zone",
    port=587,
    tls="starttls",
    near=False,
    base_url="https://mail.shop.zone",
    keyed=True,
    needs_consent=True,
    test_recipients=("@shop.zone",),
    brand="Lamp Shop",
    address="1 Light Street\nBerlin",
)
RECORDS = {
    ("shop.zone", "TXT"): DnsAnswer(("google-site-verification=x", "v=spf1 include:relay.zone ~all")),
    ("_dmarc.shop.zone", "TXT"): DnsAnswer(("v=DMARC1; p=none; rua=mailto:dmarc@shop.zone",)),
    ("shop.zone", "MX"): DnsAnswer(("10 mx.shop.zone.",)),
    ("mails._domainkey.shop.zone", "TXT"): DnsAnswer((KEY.record,)),
}


def mark(finding):
    """The mark that a finding is printed with."""
    return {Severity.OK: "✓", Severity.WARNING: "!", Severity.ERROR: "✗"}[finding.severity]


def judged(mailing, records=RECORDS):
    return judge(mailing, {question: records.get(question, NOTHING) for question in questions(mailing)})


def test_a_shop_that_is_ready():
    """Where all is as it must be, every line is a ✓."""
    assert [(each.check, mark(each)) for each in judged(READY) if mark(each) != "✓"] == []


def test_a_dns_that_is_silent_is_no_fault():
    """If the DNS does not answer, nothing is called wrong, and each line says that it is not known, and what to do."""
    silent = dict.fromkeys(questions(READY), SILENT)
    found = [each for each in judged(READY, silent) if mark(each) == "!"]
    assert len(found) == 4
    assert all("Could not be checked" in each.detail and each.fix for each in found)
    assert not any(mark(each) == "✗" for each in judged(READY, silent))


@pytest.mark.parametrize(
    ("records", "expected", "says"),
    [
        ([], "✗", "put a TXT record at shop.zone"),
        (["v=spf10 ~all", "spf1"], "✗", "There is none"),
        (["v=spf1 -all"], "✓", None),
        (["V=SPF1 MX ~ALL"], "✓", None),
        (["v=spf1 redirect=_spf.relay.zone"], "✓", None),
        (["v=spf1 a ~all", "v=spf1 mx ~all"], "✗", "There are 2"),
        (["v=spf1 +all"], "✗", "anybody"),
        (["v=spf1 all"], "✗", "anybody"),
        (["v=spf1 mx"], "!", "nothing about other senders"),
        (["v=spf1 mx ?all"], "!", "nothing about other senders"),
        (["v=spf1 " + " ".join(f"include:{number}.zone" for number in range(10)) + " ip4:192.0.2.1 ~all"], "✓", None),
        (
            ["v=spf1 a mx/24 ?exists:x.zone " + " ".join(f"include:{n}.zone" for n in range(8)) + " -all"],
            "✗",
            "11 DNS lookups",
        ),
    ],
)
def test_spf(records, expected, says):
    """One record, that says who may send and leaves the others out."""
    finding = spf("shop.zone", DnsAnswer(tuple(records)))
    assert mark(finding) == expected
    assert (says or "") in finding.text


@pytest.mark.parametrize(
    ("records", "expected", "says"),
    [
        ([], "✗", "v=DKIM1; k=rsa; p=MIIBIjAN"),
        (["v=DKIM1; k=rsa; p=MIIBIjAN"], "✓", None),
        (["p=MIIB IjAN"], "✓", None),
        (["v=DKIM1;k=rsa;t=s;p=MIIBIjAN;"], "✓", None),
        (["v=DKIM1; k=rsa; p=MIIBanother"], "✗", "not the public half"),
        (["v=DKIM1; k=ed25519; p=MIIBIjAN"], "✗", "not the public half"),
        (["v=DKIM2; p=MIIBIjAN"], "✗", "not the public half"),
        (["v=DKIM1; k=rsa; p="], "✗", "revoked"),
        (["v=DKIM1; k=rsa"], "✗", "not the public half"),
        (["v=DKIM1; t=s:y; p=MIIBIjAN"], "!", "testing"),
        (["p=MIIBIjAN", "p=MIIBIjAN"], "✗", "There are 2"),
    ],
)
def test_dkim(records, expected, says):
    """What stands in the DNS is the public half of what mails are signed with."""
    finding = dkim(KEY, DnsAnswer(tuple(records)))
    assert mark(finding) == expected
    assert (says or "") in finding.text


@pytest.mark.parametrize(
    ("own", "above", "expected", "says"),
    [
        ([], [], "✗", "put a TXT record at _dmarc.mail.shop.zone"),
        (["v=DMARC1; p=none"], [], "✓", "policy none, at _dmarc.mail.shop.zone"),
        (["v=DMARC1;p=Reject"], [], "✓", "policy reject"),
        ([], ["v=DMARC1; p=quarantine"], "✓", "policy quarantine, at _dmarc.shop.zone"),
        ([], ["v=DMARC1; p=reject; sp=none"], "✓", "policy none, at _dmarc.shop.zone"),
        ([], ["v=DMARC1; p=reject; psd=y"], "✗", "There is none"),
        (["v=spf1 -all"], [], "✗", "There is none"),
        (["v=DMARC1"], [], "✗", "''"),
        (["v=DMARC1; p=maybe"], [], "✗", "'maybe'"),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], [], "✗", "There are 2"),
    ],
)
def test_dmarc(own, above, expected, says):
    """One record with a policy, of the domain or of the nearest above that has one."""
    answers = {"mail.shop.zone": DnsAnswer(tuple(own)), "shop.zone": DnsAnswer(tuple(above))}
    finding = Dmarc("mail.shop.zone", answers).finding()
    assert mark(finding) == expected
    assert says in finding.text


@pytest.mark.parametrize(
    ("record", "other", "aligned"),
    [
        ("v=DMARC1; p=none", "mail.shop.zone", True),
        ("v=DMARC1; p=none", "shop.zone", True),
        ("v=DMARC1; p=none", "bounce.shop.zone", True),
        ("v=DMARC1; p=none", "relay.zone", False),
        ("v=DMARC1; p=none", "notshop.zone", False),
        ("v=DMARC1; p=none; adkim=s", "shop.zone", False),
        ("v=DMARC1; p=none; adkim=s", "mail.shop.zone", True),
        ("v=DMARC1; p=none; adkim=r; aspf=s", "shop.zone", True),
    ],
)
def test_alignment(record, other, aligned):
    """A domain counts as the sender's where both are under one DMARC record, or only the very same if that is asked."""
    dmarc = Dmarc("mail.shop.zone", {"mail.shop.zone": NOTHING, "shop.zone": DnsAnswer((record,))})
    assert dmarc.aligned(other, "adkim") is aligned


@pytest.mark.parametrize(("strict", "expected"), [("aspf", "!"), ("adkim", "✓")])
def test_bounces_elsewhere_align_unless_spf_is_strict(strict, expected):
    """A return path below the sender's domain counts, but not where the record asks SPF for the very same domain."""
    record = {("_dmarc.shop.zone", "TXT"): DnsAnswer((f"v=DMARC1; p=none; {strict}=s",))}
    found = judged(replace(READY, key=None, return_path="bounce.shop.zone"), RECORDS | record)
    assert [mark(each) for each in found if each.check.startswith("DMARC alignment")] == [expected]


@pytest.mark.parametrize(("records", "expected"), [([], "✗"), (["0 ."], "✗"), (["10 mx.zone.", "20 b.zone."], "✓")])
def test_mx(records, expected):
    """A domain that is written to names a host that takes mail; a null MX (RFC 7505) names none."""
    assert mark(mx("shop.zone", "answers", DnsAnswer(tuple(records)))) == expected


@pytest.mark.parametrize(
    ("changes", "expected", "says"),
    [
        ({"sender": "shop.example"}, "✗", "mail.sender"),
        ({"sender": "example.com"}, "✗", "mail.sender"),
        ({"port": 1025}, "✗", "test inboxes"),
        ({"tls": "none"}, "✗", "in the clear"),
        ({"tls": "none", "near": True}, "✓", None),
        ({"key": None}, "!", "so the relay must"),
        ({"return_path": "bounce.shop.zone"}, "✗", "v=spf1"),
        ({"return_path": "bounces.relay.zone", "key": None}, "!", "alignment depends on the relay"),
        ({"return_path": "b.zone", "key": replace(KEY, domain="c.zone")}, "✗", "DMARC fails for every mail"),
        ({"reply_to": "other.zone"}, "✗", "answers would get lost"),
        ({"base_url": None}, "✗", "links.base_url"),
        ({"base_url": "http://mail.shop.zone"}, "✗", "not https"),
        ({"keyed": False}, "!", "without a key"),
        ({"needs_consent": False}, "!", "Everybody"),
        ({"test_recipients": ()}, "!", "mail.test_recipients"),
    ],
)
def test_each_setting_counts(changes, expected, says):
    """One thing that is not as it must be is found, and its line says what to do."""
    found = judged(replace(READY, **changes))
    if expected == "✓":
        assert all(mark(each) == "✓" for each in found)
    else:
        assert any(mark(each) == expected and says in each.text for each in found)


@pytest.mark.parametrize(
    ("changes", "check", "says"),
    [
        ({"brand": ""}, "the shop's name", "set brand.name"),
        ({"brand": "xyz.myshopify.com"}, "the shop's name", "xyz.myshopify.com looks like the name of a host"),
        ({"brand": "lampen-müller.de"}, "the shop's name", "looks like the name of a host"),
        ({"address": ""}, "the postal address", "CAN-SPAM"),
    ],
)
def test_a_shop_without_a_name_or_an_address_is_warned(changes, check, says):
    """A name that customers do not know, and a mail that says nowhere where it is from, are for people to judge."""
    (found,) = (each for each in judged(replace(READY, **changes)) if each.check == check)
    assert mark(found) == "!"
    assert says in found.text


@pytest.mark.parametrize("name", ["Lamp Shop", "Müller & Söhne", "J. R. Lamps", "Lamps Ltd.", "No.1 Lamps"])
def test_a_name_is_a_name(name):
    """What has a full stop in it need not be a host."""
    assert [each.text for each in judged(replace(READY, brand=name)) if mark(each) != "✓"] == []
