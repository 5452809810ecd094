"""The command line, called in the process of the test."""

import logging

import pytest
import structlog

from recovery import SyncRecovery, cli


@pytest.fixture
def call(monkeypatch, capsys, tmp_path):
    """Call `recovery` with arguments and settings; return the exit code, what it printed and its complaint."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments, **settings):
        for name, value in settings.items():
            monkeypatch.setenv(f"RECOVERY_{name}", value)
        monkeypatch.setattr("sys.argv", ["recovery", *arguments])
        try:
            cli.main()
            code = 0
        except SystemExit as exc:
            code, complaint = (exc.code, "") if isinstance(exc.code, int | None) else (1, exc.code)
        else:
            complaint = ""
        captured = capsys.readouterr()
        return code or 0, captured.out, captured.err + complaint

    yield call
    structlog.reset_defaults()  # the log of a command leads to a standard error that is closed after its test
    logging.basicConfig(force=True)


@pytest.fixture
def at(mongodb, database_name):
    """The settings that name this test's database."""
    yield {"MONGODB__URI": mongodb, "MONGODB__DATABASE": database_name}
    with SyncRecovery(mongodb) as recovery:
        recovery._own.drop_database(database_name)
