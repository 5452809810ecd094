"""The words of a refusal: whom it is about."""

import csv

import pytest

from recovery.mail.smtp.replies import Phase, read_reply
from tests.support.collected import collected

RCPT, DOT, MAIL = Phase.RCPT, Phase.DOT, Phase.MAIL
SAID = [
    # dead addresses that must stay dead
    (
        RCPT,
        550,
        "5.1.1 The email account that you tried to reach does not exist. Please try double-checking the "
        "recipient's email address for typos or unnecessary spaces. For more information, go to "
        "https://support.google.com/mail/?p=NoSuchUser",
        "dead address",
    ),
    (
        RCPT,
        550,
        "5.1.1 <x@y.example>: Recipient address rejected: User unknown in relay recipient table",
        "dead address",
    ),
    (
        RCPT,
        550,
        "5.1.1 <spam-limit@y.example>: Recipient address rejected: User unknown in local recipient table",
        "dead address",
    ),
    (
        RCPT,
        550,
        "5.2.1 The email account that you tried to reach is disabled. https://support.google.com/mail/?p=DisabledUser",
        "dead address",
    ),
    (RCPT, 550, "5.2.1 mailbox disabled, not accepting messages", "dead address"),
    (
        RCPT,
        550,
        "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient x@y not found by SMTP address lookup",
        "dead address",
    ),
    (RCPT, 550, "No such user here", "dead address"),
    (RCPT, 550, "No Such User Here", "dead address"),
    (RCPT, 550, "Unrouteable address", "dead address"),
    (RCPT, 550, "5.5.1 User unknown", "dead message|dead address"),
    (RCPT, 550, "mailbox not found", "dead address"),
    (RCPT, 551, "User not local; please try <x@y>", "dead address"),
    (RCPT, 553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", "our fault"),
    (RCPT, 550, "#5.1.0 Address rejected.", "dead address"),
    (RCPT, 550, "Benutzer existiert nicht", "dead address"),
    (RCPT, 550, "5.1.1 Empfänger unbekannt", "dead address"),
    (RCPT, 554, "5.7.1 <x@y>: Relay access denied", "our fault"),
    (RCPT, 550, "User account is inactive or expired", "dead address"),
    (
        RCPT,
        554,
        "30 Sorry, your message to x@yahoo.com cannot be delivered. This mailbox is disabled (554.30).",
        "dead address",
    ),
    (RCPT, 550, "5.1.1 Recipient not found", "dead address"),
    (RCPT, 550, "5.0.0 User unknown", "dead address"),
    (RCPT, 550, "Account has been deleted", "dead address"),
    (RCPT, 550, "5.1.1 <a@b> is not a valid mailbox", "dead address"),
    (RCPT, 550, "5.1.2 Bad destination mailbox address: host unknown", "dead address"),
    # quotas etc
    (RCPT, 550, "You have exceeded the number of messages allowed per hour", "throttled"),
    (RCPT, 554, "Your account has reached its daily sending quota", "throttled|our fault"),
    (RCPT, 550, "5.7.1 Daily sending quota exceeded", "throttled"),
    (RCPT, 452, "4.5.3 Your message has too many recipients", "throttled"),
    (DOT, 550, "5.7.1 Message sending rate exceeded for this account", "throttled"),
    (DOT, 554, "5.7.1 The message rate limit for tenant has been exceeded", "throttled"),
    (RCPT, 450, "4.7.1 Error: too much mail from 10.0.0.1", "throttled"),
    (MAIL, 451, "4.7.1 Sender is sending too much mail; slow down", "throttled"),
    (RCPT, 550, "SMTP limits: hourly limit 300 reached", "throttled"),
    (DOT, 552, "5.2.3 Message exceeds maximum fixed size", "dead message"),
    (MAIL, 552, "5.3.4 Message size exceeds fixed limit", "dead message"),
    (DOT, 552, "5.3.4 Your message exceeded Google's message size limits.", "dead message"),
    (DOT, 554, "5.4.6 Too many hops", "dead message"),
    (RCPT, 550, "5.2.2 mailbox full", "later"),
    (RCPT, 550, "Mailbox quota exceeded for user", "later"),
    (RCPT, 552, "5.2.2 Over quota", "later"),
    (RCPT, 550, "5.2.1 User is receiving mail too quickly", "later"),
    (
        RCPT,
        450,
        "4.2.0 <x@y>: Recipient address rejected: Greylisted, see http://postgrey.schweikert.ch/help/y.html",
        "later",
    ),
    (RCPT, 451, "4.7.1 Greylisting in action, please come back in 00:05:00", "later"),
    (RCPT, 450, "4.7.1 Recipient address rejected: Try again in 5 minutes", "later"),
    (RCPT, 554, "5.7.1 Service unavailable; Client host [1.2.3.4] blocked using b.barracudacentral.org", "our fault"),
    (RCPT, 550, "5.1.1 rejected: your IP is listed in zen.spamhaus.org", "our fault"),
    (
        RCPT,
        550,
        "SC-001 (COL004-MC1F1) Unfortunately, messages from 1.2.3.4 weren't sent. Please contact your "
        "Internet service provider since part of their network is on our block list",
        "our fault",
    ),
    (DOT, 550, "5.7.1 Email rejected per SPF policy", "our fault"),
    (DOT, 554, "Message rejected under suspicion of SPAM", "dead message|our fault"),
    (DOT, 550, "5.6.0 malformed", "dead message"),
    (RCPT, 550, "Sender verify failed", "our fault"),
    (RCPT, 550, "5.7.1 Your account is suspended", "our fault"),
    (RCPT, 535, "5.7.8 Authentication failed", "our fault"),
    (DOT, 554, "5.7.1 Sending has been disabled for this account", "our fault"),
    (RCPT, 550, "Your domain is not allowed to send mail through this server", "our fault"),
    (
        RCPT,
        550,
        "5.1.1 The user you are trying to contact has been temporarily disabled due to too many messages",
        "later|throttled",
    ),
    (RCPT, 421, "4.7.0 Too many errors", "throttled|connection"),
    (RCPT, 550, "Message count limit reached for today", "throttled"),
    (RCPT, 451, "4.3.0 Mail server temporarily rejected message", "later"),
    (RCPT, 450, "4.2.2 mailbox over quota", "later"),
    (RCPT, 550, "5.7.0 Local Policy Violation", "our fault"),
    (RCPT, 550, "relay not permitted", "our fault"),
    (RCPT, 554, "5.7.1 Recipient address rejected: Access denied", "our fault"),
    (DOT, 571, "Delivery not authorized, message refused", "dead message"),
    (RCPT, 550, "5.4.310 DNS domain example does not exist", "dead message"),
    (
        RCPT,
        554,
        "5.1.1 <x@y>: Recipient address rejected: undeliverable address: host mx said: 550 5.1.1 User unknown",
        "dead address",
    ),
    (RCPT, 550, "x@y... The recipient's mailbox has been suspended", "dead address|our fault"),
    (DOT, 550, "5.4.5 Daily sending quota exceeded", "throttled"),
    (RCPT, 550, "Monthly credit limit reached", "throttled|our fault"),
    (RCPT, 550, "Insufficient credits. Please upgrade your plan", "our fault"),
    (DOT, 554, "5.2.252 SendAsDenied; not allowed to send as", "our fault"),
    (RCPT, 550, "5.7.60 SMTP; Client does not have permissions to send as this sender", "our fault"),
    (RCPT, 550, "Sender address rejected: Domain not found", "our fault|dead message"),
    (RCPT, 550, "5.1.8 <a@b>: Sender address rejected: Domain not found", "our fault"),
    (RCPT, 553, "5.7.1 <a@b>: Sender address rejected: not owned by user", "our fault"),
    (
        RCPT,
        550,
        "The mail server could not deliver mail. The account or domain may not exist, they may be "
        "blacklisted, or missing the proper dns entries.",
        "our fault",
    ),
    # what passes, in other words and languages: it costs an attempt, and nobody is suppressed
    (RCPT, 550, "5.1.1 Postfach voll", "later"),
    (RCPT, 550, "5.2.1 Das Postfach des Empfängers ist voll", "later"),
    (RCPT, 550, "5.2.1 Boîte aux lettres pleine", "later"),
    (RCPT, 550, "5.1.1 Buzón lleno", "later"),
    (RCPT, 550, "La casella del destinatario è piena", "later"),
    (RCPT, 550, "The recipient has reached maximum mailbox capacity", "later"),
    (RCPT, 552, "5.2.2 insufficient storage", "later"),
    (RCPT, 550, "Greylisted, please try again later", "later"),
    (RCPT, 550, "Temporary local problem - please try later", "later"),
    (RCPT, 550, "5.1.1 Temporary local problem - please try later", "later"),
    (RCPT, 550, "Internal error, LDAP lookup failed", "later"),
    (RCPT, 550, "5.2.1 Mailbox temporarily disabled, try again later", "later"),
    (RCPT, 550, "Empfänger vorübergehend nicht erreichbar", "later"),
    (RCPT, 550, "5.1.1 Destinataire temporairement indisponible, réessayez plus tard", "later"),
    (RCPT, 550, "Buzón no disponible temporalmente", "later"),
    (DOT, 554, "5.3.0 Temporary failure, try again later", "later"),
    (RCPT, 550, "5.1.1 Caixa postal cheia", "later"),
    (RCPT, 550, "Почтовый ящик переполнен", "later"),
    (RCPT, 550, "mailbox is full: retry timeout exceeded", "later"),
    (RCPT, 550, "Sender address does not exist", "our fault"),
    (RCPT, 550, "5.1.1 Sender address does not exist", "our fault"),
    (RCPT, 550, "Sender domain does not exist", "our fault"),
    (RCPT, 550, "Envelope sender not found", "our fault"),
    (RCPT, 550, "Sender account disabled", "our fault"),
    (RCPT, 550, "Outgoing mail from this account has been suspended", "our fault"),
    (RCPT, 550, "Domain shop.example disabled for abuse", "our fault"),
    (RCPT, 550, "Invalid HELO", "our fault"),
    (RCPT, 550, "Reverse DNS lookup failed", "our fault"),
    (RCPT, 550, "Ihr Konto wurde gesperrt", "our fault"),
    (RCPT, 550, "Cuota de envío excedida", "throttled"),
    (RCPT, 550, "Zu viele Nachrichten", "throttled"),
    (DOT, 554, "Versandkontingent erschöpft", "dead message|throttled"),
    (RCPT, 550, "5.1.1 Cuota de envío excedida", "throttled"),
    (RCPT, 550, "HELO name user does not exist", "our fault"),
    (RCPT, 550, "Absender unbekannt", "our fault"),
    (RCPT, 550, "5.1.1 Adresse des Absenders ungültig", "our fault"),
    (RCPT, 550, "5.7.1 temporarily rejected due to poor reputation of 1.2.3.4", "our fault"),
    (RCPT, 451, "4.7.1 too many messages, try again later", "throttled"),
    (RCPT, 550, "too many messages from you, try again later", "throttled"),
    (RCPT, 550, "5.1.1 User unknown; contact your postmaster", "dead address|dead message"),
    (RCPT, 550, "5.1.1 mailbox has been blocked due to inactivity", "dead address|dead message"),
    (RCPT, 550, "5.1.1 unknown user billing", "dead address|dead message"),
    (RCPT, 550, "5.1.1 User unknown at Foo Limited", "dead address"),
    (RCPT, 550, "User unknown at Unlimited Mail", "dead address"),
    (RCPT, 550, "5.1.1 User does not exist. Please check the address and try again", "dead address"),
    (RCPT, 550, "5.1.1 The sender of this message should know: no such user here", "dead address|dead message"),
    (RCPT, 550, "No such user; see our postmaster page", "dead address"),
    (RCPT, 550, "5.1.1 no such user, rate limit applies", "dead message"),
    (RCPT, 550, "ユーザーが見つかりません", "dead message"),
    (RCPT, 550, "", "dead message"),
    (RCPT, 553, "Uzivatel", "dead message"),
    (RCPT, 550, "Requested action not taken: mailbox unavailable", "dead address"),
    (RCPT, 551, "User not local; please try forward path", "dead address"),
    (RCPT, 553, "mailbox name not allowed", "dead address"),
    (RCPT, 550, "5.1.1 ユーザーが見つかりません", "dead address"),
]
"""What relays and mailbox providers say, in their own words or near them, and what it may be taken for."""


@pytest.mark.parametrize(("phase", "code", "text", "meanings"), SAID)
def test_words_say_whom_a_refusal_is_about(phase, code, text, meanings):
    """Our rate, account and reputation kill nobody; a dead mailbox stays one, in whatever words."""
    assert read_reply(phase, code, text) in meanings.split("|")


PHASES = {"mail": MAIL, "rcpt": RCPT, "content": DOT, "connect": Phase.CONNECT}


def test_what_providers_say_is_understood():
    """Collected refusals of providers are classified as their collectors say."""
    with collected("replies.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) == 49
    heard = [(row, read_reply(PHASES[row["phase"]], int(row["code"]), row["text"])) for row in rows]
    assert [(row["who"], row["text"], kind) for row, kind in heard if kind != row["meaning"]] == []
