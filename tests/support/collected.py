"""Input that others wrote, collected beside the project: it may be missing on a clone, but not where CI runs."""

import os
from pathlib import Path

import pytest

from tests.support.paths import ROOT

_FOLDER = ROOT.parent / "shared" / "data"


def collected(*parts: str) -> Path:
    """Return the path of a collected file or folder; skip the test without it, and fail it where `CI` is set."""
    path = _FOLDER.joinpath(*parts)
    if not path.exists():
        missing = f"{Path(*parts)} was collected beside the project, and is missing here"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return path
