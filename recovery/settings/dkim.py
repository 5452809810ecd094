"""The section about signatures on mails."""

from typing import Annotated, Self

from pydantic import model_validator

from recovery.settings.fields import ExistingFile, Maybe, Section, broken, like, setting

DomainName = Annotated[
    str,
    like(
        r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9-]+",
        "must be a domain as the DNS has it, like shop.example, or xn--… for one with other letters",
    ),
]
Selector = Annotated[
    str, like(r"[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*", "must be letters, digits, - and dots between them")
]


class DkimSettings(Section):
    """Signatures on our own mails (DKIM), for a relay that makes none. Most relays do: then leave this out."""

    domain: Maybe[DomainName] = setting(
        None, "The domain that signs: that of mail.sender or one above it. Empty: mails are not signed here."
    )
    selector: Maybe[Selector] = setting(
        None,
        "The name of the key, of your choosing, such as recovery2026: its public half stands in the DNS as a TXT record"
        " at <selector>._domainkey.<domain>. To change keys, choose another name.",
    )
    private_key_file: Maybe[ExistingFile] = setting(
        None,
        "A PEM file with the private key, without a password: RSA of 2048 bits, which everyone verifies, or Ed25519."
        " Make one with openssl genrsa -out dkim.pem 2048; recovery check --mail tells what to put into the DNS.",
    )

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = [key for key, value in self if value is not None]
        for key in type(self).model_fields:
            if given and key not in given:
                raise broken(f"must be given where dkim.{given[0]} is", key)
        return self
