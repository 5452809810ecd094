"""The docstrings name the thing that a function returns, by its noun."""

import re
from pathlib import Path

import recovery

VAGUE = re.compile(r'"""Return (what|who|how) ')


def test_a_docstring_names_what_is_returned():
    found = [
        f"{path.name}: {line.strip()}"
        for path in Path(recovery.__file__).parent.rglob("*.py")
        for line in path.read_text().splitlines()
        if VAGUE.search(line)
    ]
    assert found == []
