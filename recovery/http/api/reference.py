"""The API reference to try out: Swagger UI, with all its files served from here and from no other host."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Recovery: the API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

_START = b"""\
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
});
"""

_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # icons in its style sheet
        "connect-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ]
)

_TYPES = {"swagger-ui-bundle.js": "text/javascript", "swagger-ui.css": "text/css"}


def reference() -> APIRouter:
    """Return the page and its files. They need no key: callers enter theirs on the page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def page() -> Response:
        headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
        return HTMLResponse(_PAGE, headers=headers)

    @router.get("/docs/start.js")
    async def start() -> Response:
        return Response(_START, media_type="text/javascript")

    def serve(name: str, media_type: str) -> None:
        @router.get(f"/docs/{name}")
        def file() -> Response:  # not async: a thread reads it, the first time
            return Response(_file(name), media_type=media_type, headers={"Cache-Control": "max-age=3600"})

    for name, media_type in _TYPES.items():
        serve(name, media_type)
    return router


@cache
def _file(name: str) -> bytes:
    """Return a file of Swagger UI from the package fastapi-offline, whose code is not run."""
    package = find_spec("fastapi_offline")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("no files of Swagger UI: the package fastapi-offline is not installed")
    return Path(package.submodule_search_locations[0], "static", name).read_bytes()
