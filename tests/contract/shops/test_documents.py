"""The examples of docs/shops.md, as somebody who pastes them."""

import ast
import re
import subprocess
import tomllib
from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import urlsplit

import pytest

from recovery.settings import Settings
from tests.support.api import FakeIngestion
from tests.support.paths import ROOT
from tests.support.ports_in_memory import SetClock
from tests.support.shop_platforms import FIRST
from tests.support.webhook_world import WebhookWorld

TEXT = (ROOT / "docs" / "shops.md").read_text()
CURL = """curl() { printf '%s\\0' "$@"; }"""


def blocks(language):
    """Return the blocks of a language in the document."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def curled(script, **environment):
    """Return the arguments with which a script calls curl."""
    command = ["/bin/bash", "-euc", f"{CURL}\n{script}"]
    done = subprocess.run(command, env={"PATH": "/usr/bin:/bin"} | environment, capture_output=True, check=True)
    return done.stdout.decode().split("\0")


@pytest.mark.parametrize(
    ("secret", "id_"),
    [
        ({"STRIPE_SECRET": FIRST}, "lamps.example/cs_test_1"),
        ({"WOOCOMMERCE_SECRET": FIRST}, "lamps.example/1042"),
        ({"RECOVERY_KEY": "a key of the tests"}, "lamps.example/cart_1"),
    ],
    ids=["stripe", "woocommerce", "medusa"],
)
async def test_a_request_by_hand_is_taken(secret, id_):
    """The body is signed by the shell as the platform does, and its checkout stored."""
    [script] = [block for block in blocks("sh") if "curl" in block and f"${next(iter(secret))}" in block]
    arguments = curled(script, **secret)
    options = list(pairwise(arguments))
    [body] = [value for option, value in options if option == "-d"]
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    world = WebhookWorld(FakeIngestion(), clock=SetClock(datetime.now(UTC)))
    [address] = [each for each in arguments if each.startswith("http")]
    answer = await world.client.post(urlsplit(address).path, content=body, headers=headers)
    assert answer.json() == {"id": id_}
    assert answer.text in TEXT
    assert [report.id for report in world.ingestion.reports] == [id_]


def test_the_settings_are_settings():
    """Each block of TOML is accepted as it is."""
    for block in blocks("toml"):
        assert Settings(**tomllib.loads(block)) != Settings()


def test_the_code_is_python():
    """Each block of Python can be parsed."""
    for block in blocks("python"):
        ast.parse(block)
