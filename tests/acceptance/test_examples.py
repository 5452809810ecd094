"""The shops in examples/, each with its own tests, and with nothing of Recovery but the wheel as it is built."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.paths import ROOT

EXAMPLES = ROOT / "examples"


def ran(folder: Path, *command: object, **environment: object) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder, where nothing is configured but this."""
    environment = {"PATH": os.environ["PATH"], **{name: str(value) for name, value in environment.items()}}
    command = [str(each) for each in command]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=240
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The folder of an installed wheel: what pip would put there, without what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder / "dist")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = (folder / "dist").glob("recovery-*.whl")
    with zipfile.ZipFile(built) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def shop(tmp_path):
    """Copy an example to a folder away from the source."""

    def copied(name):
        return Path(shutil.copytree(EXAMPLES / name, tmp_path / name))

    return copied


def passed(folder: Path, path: str) -> "subprocess.CompletedProcess[str]":
    """Run the tests of an example; the fixture comes from the entry point of the wheel."""
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    where = "import recovery.testing.plugin as plugin; print(plugin.__file__)"
    assert ran(folder, sys.executable, "-c", where, PYTHONPATH=path).stdout.startswith(path.partition(":")[0])
    return ran(folder, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", PYTHONPATH=path)


@pytest.mark.timeout(300)
def test_the_shop_on_fastapi(shop, wheel):
    """Its tests pass with the fixture of the plug-in."""
    done = passed(shop("fastapi"), str(wheel))
    assert (done.returncode, "3 passed" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.timeout(300)  # installing downloads
def test_the_shop_on_django(shop, wheel, tmp_path):
    """Its tests pass with the synchronous form of the kit, and with the packages that it pins."""
    folder = shop("django")
    venv.create(tmp_path / "venv", with_pip=True)
    pip = [tmp_path / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    pinned = ["--no-deps", "--require-hashes", "--target", tmp_path / "site", "-r", folder / "requirements.txt"]
    home = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HOME", "SSL_"))}
    done = ran(folder, *pip, *pinned, **home)
    assert done.returncode == 0, done.stderr
    done = passed(folder, f"{wheel}:{tmp_path / 'site'}")
    assert (done.returncode, "3 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_shop_on_node(shop, wheel, tmp_path):
    """Its tests pass against `recovery serve --in-memory`, with no package but Node itself."""
    node = shutil.which("node")
    if node is None:
        if os.environ.get("CI"):
            pytest.fail("node is not installed: the shop on Node was not tested")
        pytest.skip("node is not installed")
    command = tmp_path / "recovery"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={wheel} exec {sys.executable} -m recovery "$@"\n')
    command.chmod(0o755)
    done = ran(shop("node"), node, "--test", RECOVERY=command)
    assert (done.returncode, "# pass 2" in done.stdout, "# fail 0" in done.stdout) == (0, True, True), done.stdout


def test_each_example_is_a_page():
    """A shop and its tests have at most 80 lines each."""
    files = [*EXAMPLES.glob("*/*.py"), *EXAMPLES.glob("*/*.mjs")]
    assert {file.parent.name for file in files} == {"fastapi", "django", "node"}
    assert {file.name: _lines(file) for file in files if _lines(file) > 80} == {}


def _lines(file: Path) -> int:
    return len(file.read_text("utf-8").splitlines())
