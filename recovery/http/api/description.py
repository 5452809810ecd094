"""Parts of the OpenAPI description that FastAPI cannot derive from the code."""

from typing import Any


def header(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    """Return the OpenAPI parameter of a header that an endpoint reads by hand."""
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }
