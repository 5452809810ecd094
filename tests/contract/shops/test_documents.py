"""The examples of docs/shops.md, as somebody who pastes them."""

import ast
import re
import subprocess
import tomllib
from datetime import UTC, datetime
from itertools import pairwise

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


async def test_a_request_by_hand_is_taken():
    """The body is signed by the shell as Stripe does, and its session stored."""
    [script] = [block for block in blocks("sh") if "curl" in block]
    arguments = curled(script, STRIPE_SECRET=FIRST)
    options = list(pairwise(arguments))
    [body] = [value for option, value in options if option == "-d"]
    headers = dict(value.split(": ", 1) for option, value in options if option == "-H")
    world = WebhookWorld(FakeIngestion(), clock=SetClock(datetime.now(UTC)))
    [address] = [each for each in arguments if each.startswith("http")]
    answer = await world.client.post(address.partition("8080")[2], content=body, headers=headers)
    assert answer.json() == {"id": "lamps.example/cs_test_1"}
    assert answer.text in TEXT
    assert [report.id for report in world.ingestion.reports] == ["lamps.example/cs_test_1"]


def test_the_settings_are_settings():
    """Each block of TOML is accepted as it is."""
    for block in blocks("toml"):
        assert Settings(**tomllib.loads(block)).webhooks != Settings().webhooks


def test_the_code_is_python():
    """Each block of Python can be parsed."""
    for block in blocks("python"):
        ast.parse(block)
