"""Forms of the console, posted without a browser."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx

_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a posted form: its status, the question if it is one, and the sentence of what was done."""

    status: int
    text: str
    question: str
    said: str
    yes: tuple[str, dict[str, Any]]
    """The token, and the fields, of the yes to the question."""


async def token_of(client: httpx.AsyncClient, page: str, act: str = "") -> str:
    """Return the token of the form on a page that posts to `page` and `act`."""
    text = (await client.get(page)).text
    for form in text.split("<form")[1:]:
        if f'action="{page}{act}"' in form and (found := re.search(r'name="token" value="([^"]+)"', form)):
            return found[1]
    raise AssertionError(f"{page} has no form for {page}{act}: {text}")


async def post(client: httpx.AsyncClient, path: str, token: str, fields: Mapping[str, Any]) -> Answer:
    """Post a form, and follow to the page that says what was done."""
    answer = await client.post(path, data={**fields, "token": token})
    said = ""
    if answer.status_code == 303:
        page = await client.get(answer.headers["location"])
        said = unescape((re.search(r'role="status">([^<]*)<', page.text) or ["", ""])[1])
    hidden: dict[str, Any] = {}
    for name, value in _HIDDEN.findall(answer.text.partition("<main")[2]):
        hidden.setdefault(unescape(name), []).append(unescape(value))
    new_token = hidden.pop("token", [""])[0]
    question = unescape((re.search(r"<h1>([^<]*)</h1>", answer.text) or ["", ""])[1])
    return Answer(answer.status_code, answer.text, question, said, (new_token, hidden))
