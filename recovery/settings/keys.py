"""The keys of the HTTP API: a name, a secret, scopes, and the shops that the key is valid for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from recovery.domain.fields import ShopKey
from recovery.domain.scopes import Scope
from recovery.settings.fields import Section, from_json, from_lines, like, setting
from recovery.settings.sources import why

SHORTEST = 16
"""Minimum length of a secret, in characters."""


def _secret(value: SecretStr) -> SecretStr:
    key = value.get_secret_value()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("must be printable ASCII without spaces, to fit into an Authorization header")
    if len(key) < SHORTEST:
        raise ValueError(
            f"must be at least {SHORTEST} characters, so that it cannot be guessed: run openssl rand -hex 32"
        )
    return value


def _some(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    if not scopes:
        raise ValueError("must have at least one scope; leave it out for all scopes")
    return scopes


KeySecret = Annotated[SecretStr, AfterValidator(_secret)]
KeySecrets = Annotated[tuple[KeySecret, ...], BeforeValidator(from_lines)]


class KeySettings(Section):
    """One key of the API."""

    name: Annotated[
        str, like(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}", "must be up to 50 letters, digits, . _ or -, as in shop-backend")
    ] = Field(description="The name of the key in logs.")
    secret: KeySecret = Field(
        description=f"The secret that callers send, at least {SHORTEST} characters. Or secret_file: a file with it."
    )
    scopes: Annotated[tuple[Scope, ...], BeforeValidator(from_lines), AfterValidator(_some)] = setting(
        tuple(Scope),
        "The scopes of the key: report (checkouts and orders), read (the state of a checkout), operate (cancel"
        " checkouts), privacy (export and erase personal data).",
    )
    shops: Annotated[tuple[ShopKey, ...], BeforeValidator(from_lines)] = setting(
        (), "The shops that the key is valid for. Empty: all shops."
    )

    @model_validator(mode="before")
    @classmethod
    def _secret_from_its_file(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or "secret_file" not in given:
            return given
        if "secret" in given:
            raise ValueError("must have either secret or secret_file, not both")
        path = given["secret_file"]
        try:
            secret = Path(path).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as exc:
            raise ValueError(f"secret_file: cannot read {path}: {why(exc)}") from None
        except (TypeError, ValueError):
            raise ValueError("secret_file: must be a file name") from None
        return {name: value for name, value in given.items() if name != "secret_file"} | {"secret": secret}


def _distinct(keys: tuple[KeySettings, ...]) -> tuple[KeySettings, ...]:
    names = [key.name for key in keys]
    if twice := _twice(names):
        raise ValueError(f"must not have two keys with the same name: {twice}")
    if twice := _twice([key.secret.get_secret_value() for key in keys]):
        same = " and ".join(key.name for key in keys if key.secret.get_secret_value() == twice)
        raise ValueError(f"must not have two keys with the same secret: {same}")
    return keys


def _twice(values: Sequence[str]) -> str | None:
    return next((value for value in values if values.count(value) > 1), None)


Keys = Annotated[tuple[KeySettings, ...], BeforeValidator(from_json), AfterValidator(_distinct)]
