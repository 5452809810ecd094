"""The configuration file that documents every setting, written from the settings themselves."""

import json
from collections.abc import Iterator
from datetime import timedelta
from textwrap import wrap
from typing import Any

from pydantic import BaseModel, SecretStr

from recovery.settings.durations import format_duration
from recovery.settings.loading import Settings
from recovery.settings.shops import SECTIONS

_HEAD = """\
# The settings of Recovery.
#
# Every setting is here with its default, behind a # without a space: take that away to change one.
# A variable RECOVERY_<SECTION>__<KEY> wins over this file, such as RECOVERY_SMTP__PORT=587. Secrets are better not
# kept here, but each in a file: RECOVERY_SMTP__PASSWORD_FILE=/run/secrets/smtp reads it, or password_file =
# "/run/secrets/smtp" below [smtp].
# Durations are written with units: 500ms, 45s, 30m, 6h, "1d 12h". An empty text means: not set.
# Written by python -m recovery.settings; a test compares.
"""

_SHOPS = f"""\
# What some shops have otherwise: a shop has as all do whatever is not named for it. Its name is the one that is
# reported. There may be a table for each of
# {", ".join(SECTIONS)}.
# A secret may be read from a file, as in password_file = "/run/secrets/lamps-smtp".
#
# [shops."lamps.example".mail]
# sender = "Lamp Shop <shop@lamps.example>"
# templates = "/etc/recovery/lamps"
#
# [shops."lamps.example".schedule]
# time_zone = "Europe/Berlin"
# quiet_hours = "21:00-08:00"
#
# [shops."lamps.example".smtp]
# host = "relay.lamps.example"
# port = 587
# tls = "starttls"
"""


def document() -> str:
    """Return `config/recovery.toml`: every setting with its unit, its default and the reason, and nothing set."""
    sections = [name for name in Settings.model_fields if name != "shops"]
    return "\n".join([_HEAD, *(line for name in sections for line in _section(name)), _SHOPS])


def _section(name: str) -> Iterator[str]:
    kind = Settings.model_fields[name].annotation
    section = kind() if kind is not None else None
    if not isinstance(section, BaseModel):
        raise TypeError(f"{name} is not a section")
    yield f"{_comment(section.__doc__)}\n[{name}]\n"
    tables = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key)
        if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            tables.append((key, field.description, value))  # TOML wants them after the plain keys
        else:
            yield f"{_comment(field.description)}\n#{key} = {_toml(value)}\n"
    for key, description, entries in tables:
        about = [f"{inner}: {field.description}" for inner, field in type(entries[0]).model_fields.items()]
        yield "\n#\n".join(_comment(text) for text in [description, *about]) + "\n"
        for entry in entries:
            lines = [f"#{inner} = {_toml(getattr(entry, inner))}" for inner in type(entry).model_fields]
            yield "\n".join([f"#[[{name}.{key}]]", *lines]) + "\n"


def _comment(text: str | None) -> str:
    return "\n".join(f"# {line}" for line in wrap(text or "", 110, break_on_hyphens=False))


def _toml(value: Any) -> str:
    match value:
        case None:
            return '""'
        case timedelta():
            return json.dumps(format_duration(value))
        case SecretStr():
            return json.dumps(value.get_secret_value())
        case tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case _:
            return json.dumps(value, ensure_ascii=False)  # bool, int and text are written alike in both
