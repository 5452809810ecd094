"""Settings from an environment and files of a test's own."""

import pytest

from recovery.settings import SettingsError, load_settings

SECRET = "hunter2-and-more"


def refused(**overrides):
    """Return the sentences of the `SettingsError`."""
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return list(caught.value.problems)


def steps(*delays):
    return [{"name": f"step-{i}", "delay": delay, "subject": "Hello"} for i, delay in enumerate(delays)]
