"""The keys of the HTTP API: a secret with a name, what it may be used for, and at which shops."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from recovery.domain.fields import ShopKey
from recovery.settings.fields import Section, from_json, from_lines, like, setting
from recovery.settings.sources import why

SHORTEST = 16
"""Characters of a secret."""

Scope = Literal["report", "read", "operate", "privacy"]
ALL_SCOPES: tuple[Scope, ...] = ("report", "read", "operate", "privacy")


def _secret(value: SecretStr) -> SecretStr:
    key = value.get_secret_value()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError("must be printable ASCII without spaces: nothing else fits into an Authorization header")
    if len(key) < SHORTEST:
        raise ValueError(f"must be at least {SHORTEST} characters, so that nobody guesses it: say openssl rand -hex 32")
    return value


def _some(scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
    if not scopes:
        raise ValueError("must name at least one scope, or be left out for all")
    return scopes


KeySecret = Annotated[SecretStr, AfterValidator(_secret)]
KeySecrets = Annotated[tuple[KeySecret, ...], BeforeValidator(from_lines)]


class KeySettings(Section):
    """One key of the API."""

    name: Annotated[
        str, like(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}", "must be up to 50 letters, digits, . _ or -, as in shop-backend")
    ] = Field(description="What the key is called in the log.")
    secret: KeySecret = Field(
        description=f"What callers show, at least {SHORTEST} characters. Or secret_file: a file that it is read from."
    )
    scopes: Annotated[tuple[Scope, ...], BeforeValidator(from_lines), AfterValidator(_some)] = setting(
        ALL_SCOPES,
        "What it may be used for: report (checkouts and orders), read (where a checkout stands), operate (to cancel),"
        " privacy (to export and erase persons).",
    )
    shops: Annotated[tuple[ShopKey, ...], BeforeValidator(from_lines)] = setting(
        (), "At which shops it may be used. Empty: at all."
    )

    @model_validator(mode="before")
    @classmethod
    def _secret_from_its_file(cls, given: Any) -> Any:
        if not isinstance(given, Mapping) or "secret_file" not in given:
            return given
        if "secret" in given:
            raise ValueError("must have secret or secret_file, not both")
        path = given["secret_file"]
        try:
            secret = Path(path).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as exc:
            raise ValueError(f"secret_file: cannot read {path}: {why(exc)}") from None
        except (TypeError, ValueError):
            raise ValueError("secret_file: must be the name of a file") from None
        return {name: value for name, value in given.items() if name != "secret_file"} | {"secret": secret}


def _told_apart(keys: tuple[KeySettings, ...]) -> tuple[KeySettings, ...]:
    names = [key.name for key in keys]
    if twice := _twice(names):
        raise ValueError(f"no two keys may have the same name, {twice}")
    if twice := _twice([key.secret.get_secret_value() for key in keys]):
        same = " and ".join(key.name for key in keys if key.secret.get_secret_value() == twice)
        raise ValueError(f"no two keys may have the same secret, as {same} have")
    return keys


def _twice(values: Sequence[str]) -> str | None:
    return next((value for value in values if values.count(value) > 1), None)


Keys = Annotated[tuple[KeySettings, ...], BeforeValidator(from_json), AfterValidator(_told_apart)]
