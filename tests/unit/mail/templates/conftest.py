"""Fixtures of the tests in this folder."""

from pathlib import Path

import pytest

from recovery.mail.templates.templates import Templates


@pytest.fixture(scope="module")
def defaults() -> Templates:
    return Templates()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
