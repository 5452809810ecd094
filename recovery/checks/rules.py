"""Rules for going live: checks of a shop's settings and DNS records before it mails real people. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recovery.checks.dns_records import Dmarc, DnsAnswer, PublicKey, dkim, mx, spf, upwards
from recovery.checks.finding import Finding, error, ok, warning

_RESERVED = re.compile(r"(?:.*\.)?(?:example|test|invalid|localhost|local|example\.(?:com|net|org))")
"""Reserved domains, which cannot exist in the public DNS, RFC 2606 and RFC 6762."""

_HOST_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_TEST_INBOX = 1025

Question = tuple[str, str]
"""A DNS name and a record type: `("shop.example", "TXT")`."""

Answers = Mapping[Question, DnsAnswer]


@dataclass(frozen=True, slots=True)
class Mailing:
    """Mail setup of a shop, from its settings.

    `sender`, `reply_to` and `return_path` are domains in ASCII; the return path, where bounces go, is the sender's if
    None. `near`: the relay is on this machine. `keyed`: suppressions are stored under a key. `brand` is the shop's
    name, `address` its postal address; either may be empty.
    """

    sender: str
    reply_to: str | None
    return_path: str | None
    key: PublicKey | None
    relay: str
    port: int
    tls: str
    near: bool
    base_url: str | None
    needs_consent: bool
    keyed: bool
    test_recipients: Sequence[str]
    brand: str
    address: str

    @property
    def bounces_to(self) -> str:
        """The domain of the return path, whose SPF record counts."""
        return self.return_path or self.sender


def questions(mailing: Mailing) -> list[Question]:
    """Return the DNS questions whose answers the rules need."""
    asked = [(mailing.bounces_to, "TXT")]
    asked += [(f"_dmarc.{domain}", "TXT") for domain in upwards(mailing.sender)]
    asked += [(domain, "MX") for domain in _written_to(mailing)]
    if mailing.key is not None:
        asked.append((mailing.key.name, "TXT"))
    return asked


def judge(mailing: Mailing, answers: Answers) -> list[Finding]:
    """Apply all rules, given an answer to each of the questions."""
    dmarc = Dmarc(mailing.sender, {domain: answers[f"_dmarc.{domain}", "TXT"] for domain in upwards(mailing.sender)})
    return [
        _sender(mailing),
        _name(mailing.brand),
        _address(mailing.address),
        _relay(mailing),
        spf(mailing.bounces_to, answers[mailing.bounces_to, "TXT"]),
        dkim(key, answers[key.name, "TXT"]) if (key := mailing.key) else _unsigned(mailing.sender),
        dmarc.finding(),
        _alignment(mailing, dmarc),
        *(mx(domain, mail, answers[domain, "MX"]) for domain, mail in _written_to(mailing).items()),
        _unsubscribe(mailing.base_url),
        _suppressions(keyed=mailing.keyed),
        _consent(needed=mailing.needs_consent),
        _test_recipients(mailing.test_recipients),
    ]


def _written_to(mailing: Mailing) -> dict[str, str]:
    """Return the domains that receive mail, and the kind of mail."""
    written = {mailing.sender: "answers"}
    if mailing.reply_to is not None:
        written = {mailing.sender: "mail to the sender", mailing.reply_to: "answers"}
    if mailing.return_path is not None:
        written.setdefault(mailing.return_path, "bounces")
    return written


def _sender(mailing: Mailing) -> Finding:
    check = "the sender is the shop's own"
    if _RESERVED.fullmatch(mailing.sender):
        fix = "set mail.sender to an address in the shop's own domain."
        return error(check, f"{mailing.sender} is an example domain", fix)
    return ok(check, mailing.sender)


def _name(brand: str) -> Finding:
    check = "the shop's name"
    if not brand:
        detail = "It is not set, so customers read the key of the shop, as in its reports"
        return warning(check, detail, "set brand.name to the name that they know.")
    if _HOST_NAME.fullmatch(brand):
        detail = f"{brand} looks like the name of a host"
        return warning(check, detail, "set brand.name to the name that customers know, unless this is it.")
    return ok(check, brand)


def _address(address: str) -> Finding:
    check = "the postal address"
    if not address:
        detail = "It is not set, and a mail that advertises must have one in the USA (CAN-SPAM)"
        return warning(check, detail, "set brand.address.")
    return ok(check, ", ".join(address.splitlines()))


def _relay(mailing: Mailing) -> Finding:
    check = "the relay is real and encrypted"
    where = f"{mailing.relay}:{mailing.port}"
    if mailing.port == _TEST_INBOX:
        return error(check, f"{where} is the port of test inboxes", "set smtp.host, port and tls to the relay.")
    if mailing.tls == "none" and not mailing.near:
        fix = "set smtp.tls to starttls (587) or implicit (465)."
        return error(check, f"Mails go to {where} in the clear", fix)
    return ok(check, f"{where}, " + ("on this machine" if mailing.tls == "none" else mailing.tls))


def _unsigned(sender: str) -> Finding:
    return warning(
        "DKIM",
        "Recovery does not sign, so the relay must",
        "send yourself a mail and look in its source for dkim=pass with"
        f" header.d={sender}. If the relay cannot sign, see [dkim] in the settings.",
    )


def _alignment(mailing: Mailing, dmarc: Dmarc) -> Finding:
    """Check that SPF or DKIM is aligned with the domain that people read, RFC 7489 section 3.1."""
    check = f"DMARC alignment of {mailing.sender}"
    by_spf = dmarc.aligned(mailing.bounces_to, "aspf")
    by_dkim = mailing.key is not None and dmarc.aligned(mailing.key.domain, "adkim")
    if by_dkim or by_spf:
        return ok(check, f"by {' and '.join(['DKIM'] * by_dkim + ['SPF'] * by_spf)}")
    if mailing.key is None:
        return warning(
            check,
            f"SPF is not aligned (return path {mailing.bounces_to}); alignment depends on the relay's DKIM signature",
            f"have the relay sign with d={mailing.sender}.",
        )
    return error(
        check,
        f"Bounces go to {mailing.bounces_to} and {mailing.key.domain} signs, so DMARC fails for every mail",
        f"sign with dkim.domain = {mailing.sender}.",
    )


def _unsubscribe(base_url: str | None) -> Finding:
    check = "one-click unsubscribe"
    if base_url is None:
        return error(
            check,
            "Mails have no unsubscribe link, which providers require in reminders (RFC 8058), as laws do",
            "set links.base_url and links.keys.",
        )
    if not base_url.startswith("https://"):
        return error(check, f"{base_url} is not https, which RFC 8058 requires", "set links.base_url to an https URL.")
    return ok(check, base_url)


def _suppressions(*, keyed: bool) -> Finding:
    check = "suppression list"
    if not keyed:
        return warning(
            check,
            "It is stored without a key, so anyone who gets hold of the database can test which addresses are on it",
            "set suppressions.keys.",
        )
    return ok(check, "stored under a key")


def _consent(*, needed: bool) -> Finding:
    check = "consent"
    if not needed:
        return warning(
            check,
            "Everybody who leaves an address is reminded",
            "make sure that the shop may write to them, or report consent and set schedule.require_consent.",
        )
    return ok(check, "only people who consented are reminded")


def _test_recipients(recipients: Sequence[str]) -> Finding:
    check = "test recipients"
    if not recipients:
        return warning(
            check, "There are none", "name your own addresses in mail.test_recipients, and send yourself every mail."
        )
    return ok(check, ", ".join(recipients))
