"""`recovery check --mail`: may a shop go live with its mails, and what to do where it may not yet."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from email.utils import parseaddr

from recovery.app.shops import signer_of
from recovery.checks.dns import look_up
from recovery.checks.dns_records import PublicKey
from recovery.checks.finding import Finding
from recovery.checks.rules import Mailing, judge, questions
from recovery.settings import Settings
from recovery.settings.fields import is_loopback


async def examine(settings: Settings, server: tuple[str, int] | None = None) -> AsyncIterator[Finding]:
    """Work through the list, for all and for each shop that has settings of its own.

    The DNS asked is that of this machine, or the `server` at this address.
    Raises `recovery.app.factories.CannotStart` if there is no signing with the key that is given.
    """
    for shop, own in {"": settings, **{shop: settings.of(shop) for shop in settings.shops}}.items():
        mailing = mailing_of(own)
        asked = questions(mailing)
        answers = await asyncio.gather(*(look_up(question, server) for question in asked))
        for finding in judge(mailing, dict(zip(asked, answers, strict=True))):
            yield replace(finding, what=f"{shop}: {finding.what}" if shop else finding.what)


def mailing_of(settings: Settings) -> Mailing:
    """Return how the settings have a shop send. Raises `recovery.app.factories.CannotStart` for a key that is none."""
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
    )


def _domain(mailbox: str) -> str:
    """Return the domain of `Shop <shop@example.com>` as the DNS has it."""
    return parseaddr(mailbox)[1].rpartition("@")[2].encode("idna").decode().lower()
