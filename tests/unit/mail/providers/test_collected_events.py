"""Events that providers document: the types and reasons are those that django-anymail expects of them.

The collected files are tests of that project. They are parsed, not imported.
"""

import ast
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from recovery.mail.providers.postmark import Postmark
from recovery.mail.providers.provider import SignedRequest
from recovery.mail.providers.resend import Resend
from recovery.mail.providers.sendgrid import SendGrid
from recovery.mail.providers.ses import read_notification
from tests.support.collected import collected

NOW = datetime(2026, 3, 5, tzinfo=UTC)
RAW = ("raw_event", "raw_events", "raw_ses_event")
FIELDS = ("event_type", "reject_reason", "recipient")


def read_by(provider):
    return lambda raw: provider.read(SignedRequest(json.dumps(raw).encode(), {}, NOW))


PROVIDERS = {
    "postmark": (read_by(Postmark()), 8),
    "sendgrid": (read_by(SendGrid()), 9),
    "resend": (read_by(Resend()), 6),
    "amazon_ses": (lambda raw: list(read_notification(json.dumps(raw), "")), 8),
}


@dataclass
class Case:
    """A test of the collected file: its event, and what it expects of it."""

    name: str
    raw: object
    expected: dict[str, object]


def cases(provider):
    tree = ast.parse(collected("providers", f"anymail-test_{provider}_webhooks.py").read_text())
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        raw = [
            node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in RAW
        ]
        expected = dict(filter(None, map(expectation, ast.walk(function))))
        if len(raw) == 1 and "event_type" in expected:
            yield Case(function.name, ast.literal_eval(raw[0]), expected)


def expectation(node):
    """Return the field and value of `self.assertEqual(event.<field>, <value>)`; None of any other node."""
    match node:
        case ast.Call(
            func=ast.Attribute(attr="assertEqual"),
            args=[ast.Attribute(value=ast.Name(id="event"), attr=field), ast.Constant(value=value)],
        ) if field in FIELDS:
            return field, value
    return None


@pytest.mark.parametrize("provider", PROVIDERS)
def test_events_have_the_expected_names(provider):
    """Type, reject reason and recipient are as expected; of an event of no interest, the type alone."""
    read, at_least = PROVIDERS[provider]
    found = list(cases(provider))
    assert len(found) >= at_least
    for case in found:
        events = read(case.raw)
        event = next((each for each in events if each.email == case.expected.get("recipient")), events[0])
        assert event.type == case.expected["event_type"], case.name
        if event.email is not None:
            assert event.reject_reason == case.expected.get("reject_reason", event.reject_reason), case.name
            assert event.email == case.expected.get("recipient", event.email), case.name
