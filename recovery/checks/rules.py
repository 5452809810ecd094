"""What must be so before a shop writes to real people: judged from its settings and its records in the DNS alone."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recovery.checks.dns_records import Answer, Dmarc, PublicKey, dkim, mx, spf, upwards
from recovery.checks.finding import Finding

_NOBODYS = re.compile(r"(?:.*\.)?(?:example|test|invalid|localhost|local|example\.(?:com|net|org))")
"""Domains that cannot exist in public, RFC 2606 and RFC 6762."""

_TEST_INBOX = 1025

Question = tuple[str, str]
"""A name and a type of record: `("shop.example", "TXT")`."""

Answers = Mapping[Question, Answer]


@dataclass(frozen=True, slots=True)
class Mailing:
    """How a shop sends, by its settings. Domains are as the DNS has them; `near`: the relay is on this
    machine; `keyed`: suppressions are.

    `sender`, `reply_to` and `return_path` are domains; the return path, where bounces go, is the sender's if None.
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

    @property
    def bounces_to(self) -> str:
        """The domain that SPF is asked of."""
        return self.return_path or self.sender


def questions(mailing: Mailing) -> list[Question]:
    """Return what is to be asked of the DNS."""
    asked = [(mailing.bounces_to, "TXT")]
    asked += [(f"_dmarc.{domain}", "TXT") for domain in upwards(mailing.sender)]
    asked += [(domain, "MX") for domain in _written_to(mailing)]
    if mailing.key is not None:
        asked.append((mailing.key.name, "TXT"))
    return asked


def judge(mailing: Mailing, answers: Answers) -> list[Finding]:
    """Return what is to be said of each thing, given an answer to each of its questions."""
    dmarc = Dmarc(mailing.sender, {domain: answers[f"_dmarc.{domain}", "TXT"] for domain in upwards(mailing.sender)})
    return [
        _sender(mailing),
        _relay(mailing),
        spf(mailing.bounces_to, answers[mailing.bounces_to, "TXT"]),
        dkim(key, answers[key.name, "TXT"]) if (key := mailing.key) else _unsigned(mailing.sender),
        dmarc.finding(),
        _alignment(mailing, dmarc),
        *(mx(domain, what, answers[domain, "MX"]) for domain, what in _written_to(mailing).items()),
        _unsubscribe(mailing.base_url),
        _suppressions(keyed=mailing.keyed),
        _consent(needed=mailing.needs_consent),
        _test_recipients(mailing.test_recipients),
    ]


def _written_to(mailing: Mailing) -> dict[str, str]:
    """Return the domains that people or mail systems write to, and what."""
    written = {mailing.sender: "answers"}
    if mailing.reply_to is not None:
        written = {mailing.sender: "mail to the sender", mailing.reply_to: "answers"}
    if mailing.return_path is not None:
        written.setdefault(mailing.return_path, "bounces")
    return written


def _sender(mailing: Mailing) -> Finding:
    what = "the sender is the shop's own"
    if _NOBODYS.fullmatch(mailing.sender):
        return Finding(what, f"{mailing.sender} is an example: set mail.sender to an address in the shop's own domain.")
    return Finding(what, note=mailing.sender)


def _relay(mailing: Mailing) -> Finding:
    what = "the relay leads to real people, in private"
    where = f"{mailing.relay}:{mailing.port}"
    if mailing.port == _TEST_INBOX:
        return Finding(what, f"{where} is where test inboxes listen: set smtp.host, port and tls to the relay.")
    if mailing.tls == "none" and not mailing.near:
        return Finding(what, f"Mails go to {where} in the clear: set smtp.tls to starttls (587) or implicit (465).")
    return Finding(what, note=f"{where}, " + ("on this machine" if mailing.tls == "none" else mailing.tls))


def _unsigned(sender: str) -> Finding:
    return Finding(
        "DKIM",
        doubt="Nothing is signed here, so the relay must: send yourself a mail and look in its source for dkim=pass"
        f" with header.d={sender}. If the relay cannot, see [dkim] in the settings.",
    )


def _alignment(mailing: Mailing, dmarc: Dmarc) -> Finding:
    """Either SPF or DKIM must speak for the domain that people read, RFC 7489 section 3.1."""
    what = f"DMARC alignment of {mailing.sender}"
    by_spf = dmarc.aligned(mailing.bounces_to, "aspf")
    by_dkim = mailing.key is not None and dmarc.aligned(mailing.key.domain, "adkim")
    if by_dkim or by_spf:
        return Finding(what, note=f"can be had by {' and '.join(['DKIM'] * by_dkim + ['SPF'] * by_spf)}")
    if mailing.key is None:
        return Finding(
            what,
            doubt=f"SPF does not, as bounces go to {mailing.bounces_to}: all depends on the relay signing with"
            f" d={mailing.sender}.",
        )
    return Finding(
        what,
        f"Bounces go to {mailing.bounces_to} and {mailing.key.domain} signs, so DMARC fails for every mail: sign with"
        f" dkim.domain = {mailing.sender}.",
    )


def _unsubscribe(base_url: str | None) -> Finding:
    what = "one-click unsubscribe"
    if base_url is None:
        return Finding(
            what,
            "Mails carry no link to unsubscribe, which providers demand of reminders (RFC 8058) and laws of"
            " advertising: set links.base_url and links.keys.",
        )
    if not base_url.startswith("https://"):
        return Finding(what, f"{base_url} is not https, which RFC 8058 wants: set links.base_url to an https address.")
    return Finding(what, note=base_url)


def _suppressions(*, keyed: bool) -> Finding:
    what = "the list of whom not to write to"
    if not keyed:
        return Finding(
            what,
            doubt="It is kept without a key: whoever gets hold of the database can try out which addresses are on it."
            " Set suppressions.keys.",
        )
    return Finding(what, note="kept by a key")


def _consent(*, needed: bool) -> Finding:
    what = "consent"
    if not needed:
        return Finding(
            what,
            doubt="Everybody who leaves an address is reminded: see to it that the shop may write to them, or report"
            " consent and set schedule.require_consent.",
        )
    return Finding(what, note="only who has consented is reminded")


def _test_recipients(recipients: Sequence[str]) -> Finding:
    what = "test recipients"
    if not recipients:
        return Finding(
            what, doubt="There are none: name your own addresses in mail.test_recipients, and send yourself every mail."
        )
    return Finding(what, note=", ".join(recipients))
