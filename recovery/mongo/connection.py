"""Connections to MongoDB, with Recovery's default options."""

from typing import Any

from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, InvalidURI

from recovery.errors import BadAddress
from recovery.mongo import uris

CLIENT_OPTIONS = {"tz_aware": True, "appname": "recovery", "serverSelectionTimeoutMS": 5000}


def connect(uri: str, kind: type[Any] = AsyncMongoClient, **options: Any) -> Any:
    """Return a client of this class for a URI; options in the URI win over the defaults. Raises `BadAddress`."""
    asked = uri.lower()
    defaults = {name: value for name, value in CLIENT_OPTIONS.items() if f"{name.lower()}=" not in asked}
    try:
        return kind(uri, **(defaults | options))
    except (InvalidURI, ConfigurationError, ValueError) as exc:
        raise BadAddress(f"invalid MongoDB URI: {uris.fault(uri, exc)}") from None
