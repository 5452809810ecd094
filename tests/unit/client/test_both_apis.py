"""The two forms of the ingestion API, asynchronous and synchronous."""

import inspect

import pytest

from recovery import Recovery, SyncRecovery

CALLS = sorted(name for name, _ in inspect.getmembers(Recovery, inspect.isfunction) if not name.startswith("_"))


@pytest.mark.parametrize("name", CALLS)
def test_each_call_is_the_same_in_both(name: str) -> None:
    """Both have the same methods, with the same arguments."""
    ours, theirs = (inspect.signature(getattr(api, name)) for api in (Recovery, SyncRecovery))
    assert list(theirs.parameters.values()) == list(ours.parameters.values())
