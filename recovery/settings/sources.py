"""The sources of settings: environment, files with secrets, configuration file.

Each source returns values in the shape of the configuration file, `{section: {key: value}}`. The environment is read
here and not by pydantic-settings, which would ignore a misspelt name in silence.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recovery.errors import RecoveryError
from recovery.settings.names import CONFIG, PREFIX, Setting, suggestion

DEFAULT_CONFIG = Path("config/recovery.toml")
"""The default configuration file, relative to the working directory."""

# Kubernetes sets variables for every service in every container; for a service called "recovery" they start like ours.
_SERVICE_NAME = re.compile(r"_SERVICE_(HOST|PORT(_\w+)?)\Z|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?\Z")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://.*")

LONGEST_SHOWN = 200
"""Characters of a file name that an error message shows."""

Values = dict[str, Any]


class SettingsError(RecoveryError):
    """The settings are invalid. The message has one line per fault, each with the setting's name and no secret."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Source:
    """Values, and a phrase for error messages that says where they come from."""

    origin: str
    values: Values


def environment() -> dict[str, str]:
    """Return the environment variables for Recovery, by their names in upper case."""
    given = {name.upper(): value for name, value in os.environ.items()}  # noqa: TID251 - this is its one home
    return {
        name: value
        for name, value in given.items()
        if name.startswith(PREFIX)
        and not _SERVICE_NAME.search(name.removeprefix(PREFIX[:-1]))
        and not _SERVICE_ADDRESS.fullmatch(value)
    }


def unknown(variables: Mapping[str, str], settings: Sequence[Setting]) -> list[str]:
    """Return a sentence for each environment variable that starts with our prefix and is not a setting."""
    known = [CONFIG, *(s.variable for s in settings), *(s.file_variable for s in settings if s.secret)]
    return [f"{name}: unknown setting{suggestion(name, known)}" for name in sorted(variables) if name not in known]


def sources(variables: Mapping[str, str], settings: Sequence[Setting]) -> list[Source]:
    """Return all sources, highest precedence first. An empty variable counts as not set.

    Raises `SettingsError` for files that cannot be read.
    """
    variables = {name: value for name, value in variables.items() if value}
    found = [
        Source(
            "set in the environment", _nested({s: variables[s.variable] for s in settings if s.variable in variables})
        ),
        Source("read from its file", _nested(_secrets(variables, settings))),
    ]
    path = config_file(variables)
    if path is not None:
        found.append(Source(f"set in {path}", with_secrets(read_toml(path), settings, "")))
    return found


def _nested(values: Mapping[Setting, str]) -> Values:
    nested: Values = {}
    for setting, value in values.items():
        nested.setdefault(setting.section, {})[setting.key] = value
    return nested


def _secrets(variables: Mapping[str, str], settings: Sequence[Setting]) -> dict[Setting, str]:
    """Read secrets from files, as containers get them: `RECOVERY_SMTP__PASSWORD_FILE`."""
    secrets = {}
    problems = []
    for setting in settings:
        path = variables.get(setting.file_variable) if setting.secret else None
        if path is None:
            continue
        try:
            secrets[setting] = _secret(path)
        except ValueError as exc:
            problems.append(f"{setting.name} ({setting.file_variable}): {exc}")
    if problems:
        raise SettingsError(problems)
    return secrets


def with_secrets(tables: Mapping[str, Any], settings: Sequence[Setting], prefix: str) -> Values:
    """Return tables of settings, with each `password_file = "/run/secrets/smtp"` replaced by the secret in that file.

    `prefix` is put before names in errors. Raises `SettingsError` for files that cannot be read, and for a secret
    given both ways.
    """
    files = {(setting.section, f"{setting.key}_file"): setting for setting in settings if setting.secret}
    read: Values = {}
    problems = []
    for section, table in tables.items():
        if not isinstance(table, Mapping):
            read[section] = table  # not a table: reported later, with all other faults
            continue
        read[section] = {key: value for key, value in table.items() if (section, key) not in files}
        for key, value in table.items():
            if (setting := files.get((section, key))) is None or value == "":
                continue
            if setting.key in table:
                fault = f"must not be set together with {prefix}{setting.name}: remove one of them"
                problems.append(f"{prefix}{section}.{key}: {fault}")
                continue
            try:
                read[section][setting.key] = _secret(value)
            except ValueError as exc:
                problems.append(f"{prefix}{section}.{key}: {exc}")
    if problems:
        raise SettingsError(problems)
    return read


def _secret(path: object) -> str:
    """Read a secret from its file, without the final line break. Raises `ValueError` with a sentence."""
    if not isinstance(path, str):
        raise ValueError("must be a file name")  # noqa: TRY004 - handled like the other faults
    try:
        secret = Path(path).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ValueError(f"cannot read {shortened(path)}: {why(exc)}") from None
    if not secret:
        raise ValueError(f"cannot read {shortened(path)}: it is empty")
    return secret


def shortened(path: object) -> str:
    """Return a file name for an error message, cut off if it is very long."""
    name = str(path)
    return name if len(name) <= LONGEST_SHOWN else f"{name[:LONGEST_SHOWN]}…"


def config_file(variables: Mapping[str, str]) -> Path | None:
    """Return the path of the configuration file, or None if none is named and the default one does not exist."""
    if CONFIG in variables:
        return Path(variables[CONFIG])
    return DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None


def read_toml(path: Path) -> Values:
    """Return the tables of a configuration file. Raises `SettingsError`."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(
            [f"the configuration file {shortened(path)} ({CONFIG}) cannot be read: {why(exc)}"]
        ) from None
    except tomllib.TOMLDecodeError as exc:
        raise SettingsError([f"the configuration file {shortened(path)} ({CONFIG}) is not TOML: {exc}"]) from None


def why(exc: OSError | UnicodeDecodeError) -> str:
    """Return the reason why a file could not be read, in words."""
    return (exc.strerror or "I/O error") if isinstance(exc, OSError) else "it is not UTF-8 text"
