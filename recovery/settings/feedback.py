"""The sections about what comes back from those who are written to: clicks, unsubscriptions, bounces."""

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator

from recovery.settings.durations import PositiveDuration
from recovery.settings.fields import Maybe, Section, broken, from_lines, is_loopback, like, setting

LONGEST_TAG = 11
"""Characters before the + of a return path: with it and 52 of base32 they make the 64 of RFC 5321 section 4.5.3.1.1."""


def _key(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < 16:
        raise ValueError("must be at least 16 characters, so that nobody guesses it: say openssl rand -hex 32")
    return value


def _public(value: str) -> str:
    parts = urlsplit(value)
    safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not safe or not parts.hostname or not value.isascii() or not value.isprintable() or " " in value:
        raise ValueError("must be an https:// address; http:// will do on this machine only")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("must be an address and a path at the most, as in https://mail.shop.example/recovery")
    return value.rstrip("/")


Secrets = Annotated[tuple[Annotated[SecretStr, AfterValidator(_key)], ...], BeforeValidator(from_lines)]
PublicAddress = Annotated[str, AfterValidator(_public)]
ReturnPath = Annotated[
    str,
    like(
        rf"[A-Za-z0-9._-]{{1,{LONGEST_TAG}}}@(?:[A-Za-z0-9-]+\.)+[A-Za-z0-9-]+",
        f"must be an address like bounces@bounce.shop.example, with at most {LONGEST_TAG} letters, digits, . _ or -"
        " before the @: what is added must fit into 64 characters",
    ),
]
Parameter = Annotated[str, like(r"[^\s=&#?]+=[^\s&#]*", "must be of the form name=value, without spaces, & or #")]


class LinksSettings(Section):
    """The links in mails that lead to Recovery itself. Without them, mails carry no way to unsubscribe."""

    base_url: Maybe[PublicAddress] = setting(
        None,
        "The address under which customers and mailbox providers reach this service, as https://mail.shop.example."
        " Empty: no links, so no one-click unsubscribe, which large providers demand of reminders (RFC 8058).",
    )
    keys: Secrets = setting(
        (),
        "The keys that links are sealed with, the newest first: that one seals, all of them open. Keep an old one for"
        " as long as mails with its links may be read, or people can no longer unsubscribe by them. In the environment:"
        " parted by commas, or JSON; in a file: one on a line. Long and random: say openssl rand -hex 32.",
    )
    count_clicks: bool = setting(
        False,
        "Whether the link to the checkout goes by way of this service, to count how many came back. Off, since what is"
        " not counted cannot be misused, and a direct link still works while this service is down.",
    )
    expire_after: PositiveDuration = setting(
        "30d", "How long after its mail was sent the way back by this service leads anywhere. Only with count_clicks."
    )
    parameters: Annotated[tuple[Parameter, ...], BeforeValidator(from_lines)] = setting(
        (),
        "What is added to the link to the checkout, for the shop's statistics: name=value, where {step} in a value is"
        " the name of the step, as in utm_source=recovery,utm_campaign={step}. What the shop's own link says already is"
        " left as it is. In the environment parted by commas.",
    )

    @model_validator(mode="after")
    def _sealed(self) -> Self:
        if self.base_url is not None and not self.keys:
            raise broken("must be given where links.base_url is, or anybody could unsubscribe anybody", "keys")
        if self.keys and self.base_url is None:
            raise broken("must be given where links.keys are: the links need an address to lead to", "base_url")
        return self


class SuppressionsSettings(Section):
    """The addresses that are not written to any more, which are kept as keyed hashes only."""

    keys: Secrets = setting(
        (),
        "The keys of these hashes, the newest first. Add keys in front and never drop one: who was kept under it would"
        " be written to again. None: whoever has a copy of the database and a guess at an address can check it."
        " Services that suppress from Python need the same keys.",
    )


class BouncesSettings(Section):
    """What mail systems say of messages that did not arrive, or were complained about."""

    secrets: Secrets = setting(
        (),
        "The secrets that reports to /bounces are signed with; any of them will do. Empty: there is no such endpoint,"
        " since none is safe.",
    )
    return_path: Maybe[ReturnPath] = setting(
        None,
        "Where relays send what could not be delivered, such as bounces@bounce.shop.example; a sealed mark of whom the"
        " message was to is added before the @, behind a +. Needs links.keys. Empty: to mail.sender.",
    )
