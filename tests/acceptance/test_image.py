"""The container: what the Dockerfile makes, proved without an engine by carrying out its lines; and compose.yaml."""

import asyncio
import json
import re
import signal
import subprocess
from importlib.metadata import distributions
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

import httpx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from recovery.settings import Settings, load_settings
from recovery.settings.names import settings_of
from recovery.testing.mongod import free_port
from tests.support.builders import report
from tests.support.dockerfile import Image
from tests.support.paths import ROOT


@pytest.mark.timeout(300)  # building the image downloads what it is made of
async def test_image(subtests, mongodb, database_name, relay, tmp_path):
    """The image, built as its Dockerfile says, holds what it must and no more, and does its work."""
    with TemporaryDirectory() as folder:
        image = await asyncio.to_thread(Image, ROOT / "Dockerfile", Path(folder))
        for check in CHECKS:
            with subtests.test(check.__doc__):
                check(image, tmp_path)
        with subtests.test(does_its_work.__doc__):
            await does_its_work(image, mongodb, database_name, relay, tmp_path)


def holds_what_is_locked(image, _):
    """The image has exactly the packages of the runtime lock and Recovery: no extra, nothing to build or test with."""
    lines = (ROOT / "requirements" / "runtime.txt").read_text("utf-8").splitlines()
    locked = [Requirement(line.rstrip(" \\")) for line in lines if re.match(r"\w", line)]
    expected = {
        canonicalize_name(each.name): str(each.specifier).removeprefix("==")
        for each in locked
        if each.marker is None or each.marker.evaluate()
    }
    assert {"uvloop", "pymongo"} <= expected.keys()
    found = {canonicalize_name(each.name): each.version for each in distributions(path=[str(site_packages(image))])}
    of_venv_itself = {"pip", "setuptools"}
    assert found.keys() - of_venv_itself == expected.keys() | {"recovery"}
    assert expected.items() <= found.items()


def holds_all_of_the_package(image, _):
    """Every file of the package is installed, templates and samples among them, compiled and with its licence."""
    source = {path.relative_to(ROOT) for path in ROOT.glob("recovery/**/*") if path.is_file()}
    source -= {path for path in source if "__pycache__" in path.parts}
    packages = site_packages(image)
    installed = {path.relative_to(packages) for path in packages.glob("recovery/**/*") if path.is_file()}
    compiled = {path for path in installed if "__pycache__" in path.parts}
    assert installed - compiled == source
    assert compiled
    assert list(packages.glob("recovery-*.dist-info/licenses/LICENSE"))


def holds_nothing_else(image, _):
    """What the wheel was built with and from is left behind."""
    assert {path.name for path in image.root.iterdir()} == {"venv", image.workdir.name}
    assert not list(image.workdir.iterdir())


def is_run_by_nobody_in_particular(image, _):
    """The image is not run by root, which it tells by number, and is stopped by the signal that Recovery heeds."""
    user, group = map(int, image.said["USER"].split(":"))
    assert user > 0 < group
    assert image.said["STOPSIGNAL"] == "SIGTERM"
    assert image.said["EXPOSE"] == "8080"


def is_recovery(image, folder):
    """The entry point is Recovery itself."""
    shown = recovery(image, "--help", cwd=folder)
    assert shown.returncode == 0, shown.stderr
    assert "preview" in shown.stdout


def has_no_demo(image, folder):
    """The demo says in one sentence what it needs, for the image has neither mongod nor inbox."""
    shown = recovery(image, "demo", cwd=folder)
    assert shown.returncode == 1
    assert "recovery[demo]" in shown.stderr
    assert len(shown.stderr.strip().splitlines()) == 1


def needs_a_key(image, folder):
    """Without an API key the image does not start, and says which setting is missing."""
    shown = recovery(image, *image.commands["CMD"], cwd=folder)
    assert shown.returncode == 1
    assert "http.api_keys" in shown.stderr
    assert "Traceback" not in shown.stderr


CHECKS = (
    holds_what_is_locked,
    holds_all_of_the_package,
    holds_nothing_else,
    is_run_by_nobody_in_particular,
    is_recovery,
    has_no_demo,
    needs_a_key,
)


async def does_its_work(image, mongodb, database_name, relay, folder):
    """Configured by environment alone, it takes a checkout, reminds of it, is healthy, and ends at the signal."""
    key, port = token_hex(16), free_port()
    secret = folder / "api-keys"
    secret.write_text(f"{key}\n", "utf-8")
    empty = folder / "empty"
    empty.mkdir()
    step = {"name": "soon", "delay": "500ms", "template": "reminder-1", "subject": "{{ items[0].name }} waits"}
    variables = {
        "RECOVERY_MONGODB__URI": mongodb,
        "RECOVERY_MONGODB__DATABASE": database_name,
        "RECOVERY_SMTP__HOST": relay.host,
        "RECOVERY_SMTP__PORT": str(relay.port),
        "RECOVERY_HTTP__PORT": str(port),
        "RECOVERY_HTTP__API_KEYS_FILE": str(secret),
        "RECOVERY_SCHEDULE__STEPS": json.dumps([step]),
    }
    entry_point, *health = image.commands["HEALTHCHECK"]
    assert [entry_point] == image.commands["ENTRYPOINT"]
    process = await asyncio.create_subprocess_exec(
        entry_point,
        *image.commands["CMD"],
        cwd=empty,
        env=image.environment | variables,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert (await ready(process))["loop"] == "uvloop"
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            checkout = report().model_dump(mode="json")
            assert (await client.post("/checkout", json=checkout)).status_code == 401
            client.headers["Authorization"] = f"Bearer {key}"
            assert (await client.post("/checkout", json=checkout)).is_success
        (mail,) = await relay.wait_for(1)
        assert mail.recipient == "ada@example.com"
        assert b"Lamp waits" in mail.content
        shown = await asyncio.to_thread(recovery, image, *health, cwd=empty, **variables)
        assert shown.returncode == 0, shown.stderr

        process.send_signal(signal.Signals[image.said["STOPSIGNAL"]])
        async with asyncio.timeout(60):
            await process.communicate()
        assert process.returncode == 0
        shown = await asyncio.to_thread(recovery, image, *health, cwd=empty, **variables)
        assert shown.returncode == 1
        assert not list(empty.iterdir())
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def ready(process):
    """Return the log line that says that the daemon is ready; if there is none, the log is why the test fails."""
    said = []
    async for line in process.stderr:
        said.append(line.decode())
        if '"event": "ready"' in said[-1]:
            return json.loads(said[-1])
    pytest.fail("".join(said))


def recovery(image, *arguments, cwd, **variables):
    """Run the image's entry point with nothing in the environment but what the image says and what is given."""
    return subprocess.run(
        [*image.commands["ENTRYPOINT"], *arguments],
        cwd=cwd,
        env=image.environment | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


def site_packages(image):
    (found,) = image.root.glob("venv/lib/python3.*/site-packages")
    return found


@pytest.fixture
def compose():
    """The compose file as text: among what is installed there is nothing that reads YAML."""
    return (ROOT / "compose.yaml").read_text("utf-8")


def test_compose_is_for_this_machine_only(compose):
    """Compose opens no port to the network."""
    assert (ports := re.findall(r"ports: \[(.*)\]", compose))
    assert all(port.strip(' "').startswith("127.0.0.1:") for line in ports for port in line.split(","))
    assert "0.0.0.0" not in compose


def test_compose_gives_settings_that_work(compose, monkeypatch):
    """With what compose and the image put into its environment, and the secret they name, Recovery starts."""
    variables = dict(re.findall(r"^ +(RECOVERY_\w+): (\S+)$", compose, re.MULTILINE))
    variables = {name: re.sub(r"\$\{\w+:-\}", "", value) for name, value in variables.items()}
    assert {"RECOVERY_MONGODB__URI", "RECOVERY_SMTP__HOST"} <= variables.keys()
    ((secret, file),) = re.findall(r"^  ([\w-]+):\n    file: (\S+)$", compose, re.MULTILINE)
    assert variables["RECOVERY_HTTP__API_KEYS_FILE"] == f"/run/secrets/{secret}"
    variables |= {"RECOVERY_HTTP__API_KEYS_FILE": str(ROOT / file), "RECOVERY_HTTP__HOST": "0.0.0.0"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.smtp.host in re.findall(r"^  ([\w-]+):$", compose, re.MULTILINE)
    assert settings.http.api_keys


def test_compose_names_files_that_are_there(compose):
    """Every file that compose mounts is there, and every image is of a named version."""
    files = re.findall(r"(?:file: |\"\./)([\w./-]+)", compose)
    assert len(files) == 2
    assert all((ROOT / file).is_file() for file in files)
    images = re.findall(r"image: (\S+)", compose)
    assert "mongo:8.0" in images
    assert all(re.search(r":v?\d+\.\d+", each) for each in images)


def test_guide_names_settings_that_exist():
    """Every variable in the guide is one that Recovery reads."""
    known = {each.variable: each for each in settings_of(Settings)}
    for name in re.findall(r"RECOVERY_\w+", (ROOT / "docs" / "running.md").read_text("utf-8")):
        assert name in known or known[name.removesuffix("_FILE")].secret
