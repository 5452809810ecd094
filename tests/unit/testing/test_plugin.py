"""The plug-in of pytest: the fixture in each kind of test, and what it costs where nobody asks for it."""

import subprocess
import sys
import tomllib

import pytest

from tests.support.paths import ROOT
from tests.support.plug_in import PLUG_IN

SERVICE = """
from recovery import Checkout, Customer, Item, Order

CHECKOUT = Checkout(
    shop="shop.example", order_id="1", customer=Customer(email="ada@example.com"),
    items=(Item(name="Lamp", price="12.50"),), total="12.50", currency="EUR", checkout_url="https://shop.example/1",
)
ORDER = Order(shop="shop.example", order_id="1")

async def story(recovery):
    await recovery.checkout(CHECKOUT)
    await recovery.advance(minutes=31)
    await recovery.order(ORDER)
    await recovery.advance(days=4)
    return [mail.step for mail in recovery.mails]
"""

SCOPE = "asyncio_default_fixture_loop_scope=function"
ALL = ["reminder-1", "confirmation"]

STRICT = f"""
import pytest
from service import story

@pytest.mark.asyncio
async def test_it(recovery):
    assert await story(recovery) == {ALL}
"""

AUTO = f"""
from service import story

async def test_it(recovery):
    assert await story(recovery) == {ALL}
"""

ANYIO = f"""
import pytest
from service import story

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_it(recovery):
    assert await story(recovery) == {ALL}
"""

SYNCHRONOUS = f"""
from service import CHECKOUT, ORDER

def test_it(recovery):
    client = recovery.sync
    client.checkout(CHECKOUT)
    client.advance(minutes=31)
    client.order(ORDER)
    client.advance(days=4)
    assert [mail.step for mail in client.mails] == {ALL}
"""

UNITTEST = f"""
from unittest import IsolatedAsyncioTestCase
from recovery.testing import RecoveryKit
from service import story

class Test(IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.recovery = RecoveryKit()

    async def test_it(self):
        self.assertEqual(await story(self.recovery), {ALL})
"""

MARKED = """
import pytest
from service import CHECKOUT

pytestmark = pytest.mark.recovery(schedule={"time_zone": "Asia/Tokyo"}, mail={"sender": "A <a@shop.example>"})

@pytest.mark.recovery(schedule={"steps": [{"name": "reminder-1", "subject": "Hello", "delay": "2h"}]})
def test_it(recovery):
    recovery.sync.checkout(CHECKOUT)
    [mail] = recovery.sync.advance(hours=2)
    assert (mail.subject, mail.headers["From"]) == ("Hello", "A <a@shop.example>")
"""

IN_A_FILE = """
from service import CHECKOUT

def test_it(recovery):
    recovery.sync.checkout(CHECKOUT)
    [mail] = recovery.sync.advance(hours=1)
    assert mail.headers["From"] == "Bikes <hello@bikes.example>"
"""


@pytest.fixture
def ran(tmp_path):
    """Run pytest, as a developer does, on a test file in a folder of its own."""

    def run(test, *options, **files):
        for name, text in {"service.py": SERVICE, "test_it.py": test, **files}.items():
            (tmp_path / name.replace("_toml", ".toml")).write_text(text)
        (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
        command = [sys.executable, "-m", "pytest", "-q", *PLUG_IN, "-p", "no:cacheprovider"]
        environment = {"PYTHONPATH": f"{ROOT}:{tmp_path}", "PATH": "/usr/bin:/bin"}
        if not any("asyncio_mode" in option for option in options):
            command += ["-p", "no:asyncio"]
        return subprocess.run(
            [*command, *options], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100
        )

    return run


@pytest.mark.parametrize(
    ("test", "options"),
    [
        pytest.param(STRICT, ["-o", "asyncio_mode=strict", "-o", SCOPE], id="pytest-asyncio, strict"),
        pytest.param(AUTO, ["-o", "asyncio_mode=auto", "-o", SCOPE], id="pytest-asyncio, auto"),
        pytest.param(ANYIO, [], id="anyio"),
        pytest.param(SYNCHRONOUS, [], id="synchronous"),
        pytest.param(UNITTEST, [], id="unittest"),
        pytest.param(MARKED, ["--strict-markers"], id="settings by the marker"),
    ],
)
def test_the_fixture_works_in_each_kind_of_test(ran, test, options):
    """The same story gives the same mails, without a warning, whatever runs the test."""
    done = ran(test, *options)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_ini_option_names_a_configuration_file(ran):
    """A project's real configuration file is named once, in pytest's own."""
    settings = '[mail]\nsender = "Bikes <hello@bikes.example>"\n'
    done = ran(IN_A_FILE, "-o", "recovery_config=shop.toml", shop_toml=settings)
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_a_wrong_setting_fails_the_test_that_asks_for_it(ran):
    """The sentence names the setting."""
    done = ran(
        "import pytest\n\n@pytest.mark.recovery(schedule={'min_gap': 'soon'})\ndef test_it(recovery):\n    pass\n"
    )
    assert done.returncode == 1
    assert "schedule.min_gap" in done.stdout


def test_a_light_installation_says_what_to_install(ran):
    """Where only the client is installed, the fixture fails with a sentence, not with a traceback."""
    missing = 'raise ModuleNotFoundError("No module named \'jinja2\'", name="jinja2")'
    done = ran(SYNCHRONOUS, **{"jinja2.py": missing})
    assert done.returncode == 1
    assert "the fixture recovery needs jinja2: run pip install 'recovery[daemon]'" in done.stdout


def test_the_plug_in_imports_nothing_heavy():
    """A run of pytest that does not use it imports the plug-in and the empty packages above it, and no more."""
    code = (
        "import sys, pytest; known = set(sys.modules); import recovery.testing.plugin;"
        "print(sorted(set(sys.modules) - known))"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "['recovery', 'recovery.testing', 'recovery.testing.plugin']\n"


def test_the_wheel_says_where_the_plug_in_is():
    """Pytest finds it by its entry point."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"recovery": "recovery.testing.plugin"}
