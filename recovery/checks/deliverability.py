"""`recovery check --mail`: the DNS records and settings that a shop needs before it mails real people."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from recovery.app.shops import signer_of
from recovery.checks.dns import look_up
from recovery.checks.dns_records import PublicKey
from recovery.checks.finding import Finding
from recovery.checks.rules import Mailing, judge, questions
from recovery.domain.hosts import is_loopback
from recovery.domain.mailboxes import split_mailbox
from recovery.settings import Settings


async def examine(settings: Settings, server: tuple[str, int] | None = None) -> AsyncIterator[Finding]:
    """Check the general settings, and those of each shop that has its own; yield the findings.

    `server` is the address of the DNS server to ask; None for this machine's resolver. Raises
    `recovery.app.factories.CannotStart` if the DKIM key is unusable.
    """
    for shop, own in {"": settings, **{shop: settings.of(shop) for shop in settings.shops}}.items():
        mailing = mailing_of(own)
        asked = questions(mailing)
        answers = await asyncio.gather(*(look_up(question, server) for question in asked))
        for finding in judge(mailing, dict(zip(asked, answers, strict=True))):
            yield replace(finding, check=f"{shop}: {finding.check}" if shop else finding.check)


def mailing_of(settings: Settings) -> Mailing:
    """Return the mail setup of a shop. Raises `recovery.app.factories.CannotStart` for an unusable DKIM key."""
    mail, smtp = settings.mail, settings.smtp
    key = None
    if (signer := signer_of(settings)) is not None:
        key = PublicKey(signer.domain, signer.selector, signer.key.algorithm, signer.key.public)
    return Mailing(
        sender=_domain(mail.sender),
        reply_to=_domain(mail.reply_to) if mail.reply_to else None,
        return_path=_domain(settings.bounces.return_path) if settings.bounces.return_path else None,
        key=key,
        relay=smtp.host,
        port=smtp.port,
        tls=smtp.tls,
        near=is_loopback(smtp.host),
        base_url=settings.links.base_url,
        needs_consent=settings.schedule.require_consent,
        keyed=bool(settings.suppressions.keys),
        test_recipients=mail.test_recipients,
        brand=settings.brand.name or "",
        address=settings.brand.address or "",
    )


def _domain(mailbox: str) -> str:
    """Return the domain of `Shop <shop@example.com>` in ASCII, as in the DNS."""
    return split_mailbox(mailbox)[1].rpartition("@")[2].encode("idna").decode().lower()
