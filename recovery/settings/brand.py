"""The section on the shop's brand: what customers read and see in mails and on pages."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from recovery.domain.brand import COLOUR, Brand
from recovery.domain.fields import web_address
from recovery.domain.masking import is_plain
from recovery.settings.fields import Line, Maybe, Section, like, setting

_HOST = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?")


def _https(value: str) -> str:
    if not value.startswith("https://"):
        raise ValueError("must be an https:// address")
    if not _has_a_host(web_address(value)):
        raise ValueError("must name a host as in https://shop.example/, with a port up to 65535 if any")
    return value


def _has_a_host(url: str) -> bool:
    """Return whether the pages' Content-Security-Policy can name the host of a URL."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode()
        return parts.port != 0 and _HOST.fullmatch(host) is not None
    except ValueError:  # of which UnicodeError is one
        return False


def _lines(value: str) -> str:
    lines = [line.strip() for line in value.strip().splitlines()]
    if not all(map(is_plain, lines)):
        raise ValueError("must be text without control characters")
    return "\n".join(line for line in lines if line)


BrandName = Annotated[Line, Field(max_length=100)]
SecureAddress = Annotated[str, Field(max_length=2048), AfterValidator(_https)]
Colour = Annotated[str, like(r"#[0-9A-Fa-f]{6}", "must be a colour such as #1f5a4a")]
PostalAddress = Annotated[str, Field(max_length=500), AfterValidator(_lines)]


class BrandSettings(Section):
    """The shop's name and look, as customers know them: in its mails, and on its pages."""

    name: Maybe[BrandName] = setting(
        None,
        "The shop's name. Empty: the key of the shop in its reports, such as shop.example, which few customers know.",
    )
    logo_url: Maybe[SecureAddress] = setting(
        None,
        "The address of the shop's logo, https only: a PNG or JPEG, as mail programs show no SVG. Empty: the name is"
        " written instead.",
    )
    colour: Colour = setting(
        COLOUR,
        "The accent colour, #rrggbb: that of buttons. The colour of the text on it, and a lighter tone for dark mode,"
        " are worked out from it, so that both can be read.",
    )
    address: Maybe[PostalAddress] = setting(
        None,
        "The shop's postal address, in the foot of each mail; it may have several lines. In the USA, a mail"
        " that advertises must have one (CAN-SPAM). Empty: none.",
    )
    website: Maybe[SecureAddress] = setting(
        None, "The address of the shop's website, https only, to which name and logo link. Empty: they do not link."
    )

    def to_brand(self) -> Brand:
        """Return the brand, as templates and pages take it."""
        return Brand(self.name or "", self.logo_url or "", self.colour, self.address or "", self.website or "")
