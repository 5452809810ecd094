"""Scopes: the permissions that a key of the HTTP API may have."""

from enum import StrEnum


class Scope(StrEnum):
    """A permission of an API key. Each operation requires one."""

    REPORT = "report"
    READ = "read"
    OPERATE = "operate"
    PRIVACY = "privacy"
