"""HTTP requests to the API of a kit, without a server."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message

HOST = "localhost"


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to a request: status, headers with names in lower case, body."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Return the JSON in the body. Raises `ValueError`."""
        return json.loads(self.body)


async def ask(
    app: ASGIApp, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Answer:
    """Send a request to an ASGI application; return its response. `path` may have a query."""
    plain, _, query = path.partition("?")
    sent = {"host": HOST, "content-length": str(len(body))} | {n.lower(): v for n, v in (headers or {}).items()}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": plain,
        "raw_path": plain.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in sent.items()],
        "client": ("127.0.0.1", 50000),
        "server": (HOST, 80),
        "state": {},
    }
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    answered: list[Message] = []

    async def receive() -> Message:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        answered.append(message)

    await app(scope, receive, send)
    start = next(each for each in answered if each["type"] == "http.response.start")
    found = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    whole = b"".join(each.get("body", b"") for each in answered if each["type"] == "http.response.body")
    return Answer(start["status"], found, whole)
