"""The sections on feedback from recipients: links and clicks, unsubscriptions, suppressions, bounces."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator

from recovery.domain.hosts import is_loopback
from recovery.settings.durations import PositiveDuration
from recovery.settings.fields import Maybe, Section, from_lines, like, rule_violation, setting

LONGEST_TAG = 11
"""Characters before the + of a return path. With the + and 52 characters of base32 they fill the 64 that a local part
may have (RFC 5321 section 4.5.3.1.1)."""


def _key(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError("must be at least 16 characters, so that it cannot be guessed: run openssl rand -hex 32")
    return value


def _public(value: str) -> str:
    parts = urlsplit(value)
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not safe or not parts.hostname or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be an https:// URL; http:// is allowed for loopback addresses only")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be a URL with at most a path, such as https://mail.shop.example/recovery")
    return value.rstrip("/")


Secrets = Annotated[tuple[Annotated[SecretStr, AfterValidator(_key)], ...], BeforeValidator(from_lines)]
PublicAddress = Annotated[str, AfterValidator(_public)]
ReturnPath = Annotated[
    str,
    like(
        rf"[A-Za-z0-9._-]{{1,{LONGEST_TAG}}}@(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+",
        f"must be an e-mail address like bounces@bounce.shop.example, with at most {LONGEST_TAG} letters, digits, . _"
        " or - before the @: together with the token that Recovery adds, that part may have 64 characters",
    ),
]
Topic = Annotated[
    str,
    like(
        r"arn:aws:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}",
        "must be the ARN of an SNS topic, such as arn:aws:sns:eu-west-1:123456789012:bounces",
    ),
]
Parameter = Annotated[str, like(r"[^\s=&#?]+=[^\s&#]*", "must have the form name=value, without spaces, & or #")]


class LinksSettings(Section):
    """The links in mails that lead to Recovery itself. Without them, mails have no unsubscribe link."""

    base_url: Maybe[PublicAddress] = setting(
        None,
        "The public URL of this service for customers and mailbox providers, such as https://mail.shop.example. Empty:"
        " no links, so no one-click unsubscribe (RFC 8058), which large providers require in reminders.",
    )
    keys: Secrets = setting(
        (),
        "The keys that encrypt the tokens in links, newest first: the first one encrypts, all of them decrypt. Keep an"
        " old key for as long as people may open mails with its links, or their unsubscribe links stop working. In the"
        " environment: separated by commas, or JSON; in a file: one per line. Create one with openssl rand -hex 32.",
    )
    count_clicks: bool = setting(
        False,
        "Whether the link to the checkout redirects through this service, to count clicks. Off by default: data that is"
        " not collected cannot be misused, and a direct link works while this service is down.",
    )
    expire_after: PositiveDuration = setting(
        "30d", "How long after the mail was sent the redirect to the checkout works. Only with count_clicks."
    )
    parameters: Annotated[tuple[Parameter, ...], BeforeValidator(from_lines)] = setting(
        (),
        "Query parameters added to the link to the checkout, for the shop's statistics: name=value, where {step} in a"
        " value stands for the name of the step, as in utm_source=recovery,utm_campaign={step}. A parameter that the"
        " shop's own link already has is not changed. In the environment: separated by commas.",
    )

    @model_validator(mode="after")
    def _sealed(self) -> Self:
        if self.base_url is not None and not self.keys:
            raise rule_violation(
                "is required with links.base_url: without it, anyone could forge an unsubscribe link", "keys"
            )
        if self.keys and self.base_url is None:
            raise rule_violation("is required with links.keys: the links need a URL to point to", "base_url")
        return self


class SuppressionsSettings(Section):
    """The suppression list: addresses that get no more mails. It holds keyed hashes only, no addresses."""

    keys: Secrets = setting(
        (),
        "The keys of these hashes, newest first. To rotate, add the new key in front. Never remove a key: addresses"
        " suppressed under it would get mails again. Without a key, anyone with a copy of the database can test whether"
        " an address is in it. Python services that suppress addresses need the same keys.",
    )


class BouncesSettings(Section):
    """Bounces (delivery status notifications) and spam complaints, as reported by mail systems."""

    secrets: Secrets = setting(
        (),
        "The secrets that sign reports to /bounces; a signature by any one of them is valid. Empty: the endpoint is"
        " off, because it would not be safe.",
    )
    return_path: Maybe[ReturnPath] = setting(
        None,
        "The address that bounces go to (the envelope sender), such as bounces@bounce.shop.example. Recovery adds + and"
        " an encrypted token for the recipient before the @ (VERP). Requires links.keys. Empty: mail.sender.",
    )


class ProvidersSettings(Section):
    """Providers that send our mails: what proves that a webhook at /bounces/<provider> is theirs."""

    ses: Annotated[tuple[Topic, ...], BeforeValidator(from_lines)] = setting(
        (),
        "Amazon SES: the ARNs of your SNS topics, such as arn:aws:sns:eu-west-1:123456789012:bounces. Amazon signs the"
        " topics of everybody alike, so only these are taken. In the environment: separated by commas, or JSON.",
    )
    postmark: Secrets = setting(
        (),
        "Postmark: secrets of your own, which the webhook's address has as the password. Postmark does not sign.",
    )
    sendgrid: Secrets = setting(
        (), "SendGrid: the verification keys of the signed event webhook (public keys, in base64)."
    )
    mailgun: Secrets = setting((), "Mailgun: the HTTP webhook signing keys.")
    resend: Secrets = setting((), "Resend: the signing secrets of the webhook, whsec_ and base64.")
    brevo: Secrets = setting(
        (), "Brevo: secrets of your own, which the webhook's address has as the password. Brevo does not sign."
    )
