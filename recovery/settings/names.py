"""The names of each setting: `smtp.port` in the file, `RECOVERY_SMTP__PORT` in the environment."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, SecretStr

PREFIX = "RECOVERY_"
CONFIG = f"{PREFIX}CONFIG"
"""The variable that holds the path of the configuration file. It is not a setting itself."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its section, its key there, and whether its value is a secret, which is never shown."""

    section: str
    key: str
    secret: bool

    @property
    def name(self) -> str:
        """The name in the configuration file, and in the code."""
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        return f"{PREFIX}{self.section}__{self.key}".upper()

    @property
    def file_variable(self) -> str:
        """The name of the variable that holds the path of a file with the value, for secrets."""
        return f"{self.variable}_FILE"


def settings_of(model: type[BaseModel]) -> list[Setting]:
    """Return all settings of a model of sections."""
    return [
        Setting(section, field.alias or key, _mentions_secret(field.annotation))
        for section, sections_field in model.model_fields.items()
        if isinstance(sections_field.annotation, type)
        for key, field in sections_field.annotation.model_fields.items()
    ]


def _mentions_secret(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_mentions_secret(field.annotation) for field in annotation.model_fields.values())
    return annotation is SecretStr or any(_mentions_secret(argument) for argument in get_args(annotation))


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message that suggests the closest known name, or an empty text."""
    near = get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
