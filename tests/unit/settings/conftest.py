"""Fixtures of the tests in this folder."""

import os

import pytest


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """The developer's own settings do not leak into tests."""
    for name in os.environ:
        if name.upper().startswith("RECOVERY_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def environ(monkeypatch):
    """Set variables, by name or as NAME=value lines."""

    def set_(lines="", **variables):
        for name, value in [line.split("=", 1) for line in lines.splitlines()] + list(variables.items()):
            monkeypatch.setenv(name, value)

    return set_


@pytest.fixture
def config(tmp_path):
    """Write the default configuration file."""

    def write(text):
        path = tmp_path / "config" / "recovery.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    return write
