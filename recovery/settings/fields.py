"""Building blocks of the settings: the base class of sections, field types, validators."""

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

from recovery.domain.mailboxes import is_list_id, split_mailbox
from recovery.domain.masking import is_plain
from recovery.domain.quiet_hours import QuietHours, zone
from recovery.domain.rate import Rate

T = TypeVar("T")


class Section(BaseModel):
    """One table of the configuration file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def setting(default: Any, description: str, **constraints: Any) -> Any:
    """Return the field of a setting. The default is in the same form as in the file, and validated like any value."""
    return Field(default, description=description, validate_default=True, **constraints)


def rule_violation(sentence: str, *path: str) -> ValidationError:
    """Build the validation error of a rule between fields, located at `path` below the section that raises it."""
    fault = PydanticCustomError("rule_violation", "{sentence}", {"sentence": sentence})
    return ValidationError.from_exception_data("Settings", [InitErrorDetails(type=fault, loc=path, input=None)])


def from_json(value: object) -> object:
    """Parse a list from the environment, where every value is text, as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        # The error does not quote the value: it may be a list of secrets.
        raise ValueError("must be valid JSON if given as text") from None


def from_lines(value: object) -> object:
    """Parse a list of words: JSON, or separated by commas or line breaks."""
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return from_json(value)
    words = [word.strip() for word in value.replace(",", "\n").splitlines() if word.strip()]
    if value and not words:
        raise ValueError("must have at least one value: it holds only commas and spaces")
    return words


def _rate(value: object) -> object:
    return Rate.parse(value) if isinstance(value, str) else value


LimitedRate = Annotated[Rate, PlainValidator(_rate), PlainSerializer(str)]
"""A number of messages per time, such as 14/s."""


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


def like(pattern: str, sentence: str) -> AfterValidator:
    """Return a validator that a text matches `pattern` in full; `sentence` is the error message."""

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(sentence)
        return value

    return AfterValidator(check)


def _file(value: Path) -> Path:
    if not _is(value, Path.is_file):
        raise ValueError("must be an existing file")
    return value


def _folder(value: Path) -> Path:
    if not _is(value, Path.is_dir):
        raise ValueError("must be an existing folder")
    return value


def _is(path: Path, kind: Callable[[Path], bool]) -> bool:
    try:
        return kind(path)
    except OSError:  # an impossible name, or a folder without read permission
        return False


def _host(value: str) -> str:
    try:
        ip_address(value)
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}", value):
            raise ValueError("must be a host name or an IP address, without a port") from None
    return value


def _mailbox(value: str) -> str:
    sentence = "must be an e-mail address like Shop <shop@example.com>"
    name, address = split_mailbox(value)
    if not is_plain(name):
        raise ValueError(f"{sentence}: the name has control characters")
    return _deliverable(value, address, sentence)


def _list_id(value: str) -> str:
    name, identifier = split_mailbox(value)
    if identifier == value or len(name) > 200 or not is_plain(name) or not is_list_id(identifier):
        raise ValueError("must be like Shop <reminders.shop.example>")
    return value


def _domain(value: str) -> str:
    return _deliverable(value, f"recovery@{value}", "must be a domain like example.com")


def _deliverable(value: str, address: str, sentence: str) -> str:
    try:
        validate_email(
            address,
            check_deliverability=False,
            allow_smtputf8=False,  # not every relay accepts such a sender
            globally_deliverable=False,  # a shop's own address may be in a private network
        )
    except EmailNotValidError as exc:
        raise ValueError(f"{sentence}: {exc}") from exc
    return value


def _hours(value: object) -> QuietHours:
    """Parse quiet hours such as `21:00-08:00`."""
    if isinstance(value, QuietHours):
        return value
    try:
        begin, end = (time.fromisoformat(part.strip()) for part in str(value).split("-"))
    except ValueError:
        raise ValueError("must be two times of day, such as 21:00-08:00") from None
    if begin == end or begin.tzinfo or end.tzinfo:
        raise ValueError("must be two different times of day, such as 21:00-08:00")
    return QuietHours(begin, end)


def _one_line(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError("must be one line of text")
    return value


Maybe = Annotated[T | None, BeforeValidator(_none_if_empty)]
"""An optional setting. TOML has no null, so an empty text means: not set."""

Hours = Annotated[
    QuietHours,
    PlainValidator(_hours),
    PlainSerializer(lambda hours: f"{hours.begin:%H:%M}-{hours.end:%H:%M}", return_type=str),
]
ZoneName = Annotated[str, AfterValidator(lambda name: zone(name).key)]
Mailbox = Annotated[str, AfterValidator(_mailbox)]
ListId = Annotated[str, AfterValidator(_list_id)]
Domain = Annotated[str, AfterValidator(_domain)]
Line = Annotated[str, AfterValidator(_one_line)]
ExistingFile = Annotated[Path, AfterValidator(_file)]
ExistingFolder = Annotated[Path, AfterValidator(_folder)]
Host = Annotated[str, AfterValidator(_host)]
TemplateName = Annotated[
    str, like(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}", "must be the name of a template: letters, digits, . _ and - only")
]
