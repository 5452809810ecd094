"""The examples of docs/testing.md run."""

import re
import subprocess
import sys

from tests.support.paths import ROOT
from tests.support.plug_in import PLUG_IN


def test_the_examples_of_the_page_pass(tmp_path):
    """All Python blocks, one after the other, are a test file that passes with the plug-in and nothing else."""
    page = (ROOT / "docs/testing.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "test_page.py").write_text("\n\n".join(blocks))
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", *PLUG_IN, "-p", "no:cacheprovider"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    tests = sum(block.count("def test_") for block in blocks)
    assert (done.returncode, f"{tests} passed" in done.stdout) == (0, True), done.stdout + done.stderr
