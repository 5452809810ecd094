"""What sections of settings are made of."""

import json
import re
from collections.abc import Callable
from datetime import time
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, TypeVar

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from recovery.domain.quiet_hours import QuietHours, zone

T = TypeVar("T")


class Section(BaseModel):
    """One table of the configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def setting(default: Any, description: str, **constraints: Any) -> Any:
    """Return the field of a setting. Its default is written as a person would, and read like anything given."""
    return Field(default, description=description, validate_default=True, **constraints)


def broken(sentence: str, *path: str) -> ValidationError:
    """Return the error of a rule between settings, told of the one at `path` below the section that raises it."""
    fault = PydanticCustomError("broken_rule", "{sentence}", {"sentence": sentence})
    return ValidationError.from_exception_data("Settings", [InitErrorDetails(type=fault, loc=path, input=None)])


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine is reached at `host`, or reaches it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def from_json(value: object) -> object:
    """Read a list that comes from the environment, where everything is text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        # What is not JSON is not told back: a list of secrets passes here too.
        raise ValueError("must be JSON where it is given as text") from None


def from_lines(value: object) -> object:
    """Read a list of words: JSON, or parted by commas or line ends."""
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return from_json(value)
    words = [word.strip() for word in value.replace(",", "\n").splitlines() if word.strip()]
    if value and not words:
        raise ValueError("must name something: there are only commas and spaces in it")
    return words


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def like(pattern: str, sentence: str) -> AfterValidator:
    """Return the check that a text is all of `pattern`; `sentence` says what it must be."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(sentence)
        return value

    return AfterValidator(check)


def _file(value: Path) -> Path:
    if not _is(value, Path.is_file):
        raise ValueError("must be a file that is there")
    return value


def _folder(value: Path) -> Path:
    if not _is(value, Path.is_dir):
        raise ValueError("must be a folder that is there")
    return value


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except OSError:  # a name that no file can have, or a folder that we must not look into
        return False


def _host(value: str) -> str:
    try:
        ip_address(value)
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}", value):
            raise ValueError("must be the name or address of a host, without a port") from None
    return value


def _mailbox(value: str) -> str:
    name, bracket, address = value.partition("<")
    if bracket and not re.fullmatch(r'[A-Za-z0-9 _-]*|".*"\s*', name):
        value = f'"{name.strip()}" <{address}'  # RFC 5322 wants quotes about most names, people do not
    return _deliverable(value, value, "must be an address like Shop <shop@example.com>")


def _domain(value: str) -> str:
    return _deliverable(value, f"recovery@{value}", "must be a domain like example.com")


def _deliverable(value: str, address: str, sentence: str) -> str:
    try:
        validate_email(
            address,
            check_deliverability=False,
            allow_display_name=True,
            allow_smtputf8=False,  # not every relay takes such a sender
            globally_deliverable=False,  # a shop's own address may well be in a private network
        )
    except EmailNotValidError as exc:
        raise ValueError(f"{sentence}: {exc}") from exc
    return value


def _hours(value: object) -> QuietHours:
    """Read `21:00-08:00`."""
    if isinstance(value, QuietHours):
        return value
    try:
        begin, end = (time.fromisoformat(part.strip()) for part in str(value).split("-"))
    except ValueError:
        raise ValueError("must be two times of day, as in 21:00-08:00") from None
    if begin == end or begin.tzinfo or end.tzinfo:
        raise ValueError("must be two different times of day, as in 21:00-08:00")
    return QuietHours(begin, end)


def _one_line(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be one line of text")
    return value


Maybe = Annotated[T | None, BeforeValidator(_none_if_empty)]
"""A setting that need not be given. TOML has no null, so an empty text stands for nothing."""

Hours = Annotated[
    QuietHours,
    PlainValidator(_hours),
    PlainSerializer(lambda hours: f"{hours.begin:%H:%M}-{hours.end:%H:%M}", return_type=str),
]
ZoneName = Annotated[str, AfterValidator(lambda name: zone(name).key)]
Mailbox = Annotated[str, AfterValidator(_mailbox)]
Domain = Annotated[str, AfterValidator(_domain)]
Line = Annotated[str, AfterValidator(_one_line)]
ExistingFile = Annotated[Path, AfterValidator(_file)]
ExistingFolder = Annotated[Path, AfterValidator(_folder)]
Host = Annotated[str, AfterValidator(_host)]
TemplateName = Annotated[
    str, like(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", "must be the name of a template: letters, digits, . _ and -")
]
