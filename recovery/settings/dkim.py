"""The section on DKIM signatures."""

from typing import Annotated, Self

from pydantic import model_validator

from recovery.settings.fields import ExistingFile, Maybe, Section, like, rule_violation, setting

DomainName = Annotated[
    str,
    like(
        r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z0-9-]+",
        "must be a domain name in ASCII, like shop.example; write an internationalised one in its xn--… form",
    ),
]
Selector = Annotated[
    str,
    like(r"[A-Za-z0-9][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*", "must be letters, digits and -, with dots between them"),
]


class DkimSettings(Section):
    """DKIM signatures made by Recovery. Most relays sign mails themselves: then leave this out."""

    domain: Maybe[DomainName] = setting(
        None, "The signing domain (d=): the domain of mail.sender or a parent of it. Empty: Recovery does not sign."
    )
    selector: Maybe[Selector] = setting(
        None,
        "The selector (s=): a name of your choice for the key, such as recovery2026. The public key is published as a"
        " DNS TXT record at <selector>._domainkey.<domain>. To rotate keys, choose a new selector.",
    )
    private_key_file: Maybe[ExistingFile] = setting(
        None,
        "A PEM file with the private key, without a password: RSA with 2048 bits, which all receivers verify, or"
        " Ed25519. Create one with openssl genrsa -out dkim.pem 2048; recovery check --mail prints the DNS record.",
    )

    @model_validator(mode="after")
    def _all_or_none(self) -> Self:
        given = [key for key, value in self if value is not None]
        for key in type(self).model_fields:
            if given and key not in given:
                raise rule_violation(f"is required with dkim.{given[0]}", key)
        return self
