"""The plug-in of pytest: the fixture `recovery`. It imports the kit only where a test asks for it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from recovery.testing.kit import RecoveryKit

CONFIG = "recovery_config"
"""The ini option with the path of a configuration file, from the folder of pytest's own."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the ini option."""
    parser.addini(CONFIG, "configuration file whose schedule, mails and shops the fixture recovery has", "string")


def pytest_configure(config: pytest.Config) -> None:
    """Add the marker."""
    text = 'recovery(**sections): settings of the fixture recovery, such as schedule={"min_gap": "1h"}'
    config.addinivalue_line("markers", text)


@pytest.fixture
def recovery(request: pytest.FixtureRequest) -> "Iterator[RecoveryKit]":
    """Recovery in memory, with a clock that the test moves: a `RecoveryKit`, new for each test."""
    try:
        from recovery.testing.kit import RecoveryKit
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] == "recovery":
            raise
        pytest.fail(f"the fixture recovery needs {exc.name}: run pip install 'recovery[daemon]'", pytrace=False)

    sections: dict[str, Any] = {}
    for marker in reversed(list(request.node.iter_markers("recovery"))):
        for name, section in marker.kwargs.items():
            sections[name] = {**sections.get(name, {}), **section}
    given = request.config.getini(CONFIG)
    kit = RecoveryKit(config=request.config.rootpath / given if given else None, **sections)
    yield kit
    kit.sync.close()
