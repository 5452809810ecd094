"""What the OpenAPI description says beyond what FastAPI sees by itself."""

from typing import Any


def header(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    """Return the parameter that describes a header which an endpoint reads by hand."""
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string"},
    }
