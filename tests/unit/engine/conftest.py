"""Fixtures of the tests in this folder."""

import pytest


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    """What waits for a moment waits for a short one."""
    monkeypatch.setattr("recovery.engine.sender.RENEW_EVERY", 0.01)
    monkeypatch.setattr("recovery.engine.sender.ASK_RELAY_EVERY", 0.01)
    monkeypatch.setattr("recovery.engine.sender.BELIEVED_AFTER", 0.02)
