"""The two forms of the ingestion API, asynchronous and synchronous."""

import inspect

import pytest

from recovery import Recovery, SyncRecovery
from recovery.testing import RecoveryKit, SyncRecoveryKit

CALLS = sorted(name for name, _ in inspect.getmembers(Recovery, inspect.isfunction) if not name.startswith("_"))
OF_KIT = sorted(name for name in vars(RecoveryKit) if not name.startswith("_") and name not in ("app", "sync", *CALLS))


@pytest.mark.parametrize("name", CALLS)
def test_each_call_is_the_same_in_both(name: str) -> None:
    """Both have the same methods, with the same arguments."""
    ours, theirs = (inspect.signature(getattr(api, name)) for api in (Recovery, SyncRecovery))
    assert list(theirs.parameters.values()) == list(ours.parameters.values())


@pytest.mark.parametrize("name", CALLS)
def test_the_kit_has_each_call(name: str) -> None:
    """The kit is a client: what a service calls is the client's own code."""
    assert getattr(RecoveryKit, name) is getattr(Recovery, name) or name == "report"  # which reads asynchronous ones
    assert getattr(SyncRecoveryKit, name) is getattr(SyncRecovery, name) or name == "close"


@pytest.mark.parametrize("name", OF_KIT)
def test_each_call_of_the_kit_is_the_same_in_both(name: str) -> None:
    """What the kit adds is there in both forms, with the same arguments and a docstring."""
    ours, theirs = (getattr(kit, name) for kit in (RecoveryKit, SyncRecoveryKit))
    assert ours.__doc__ == theirs.__doc__
    if callable(ours):
        assert inspect.signature(theirs).parameters == inspect.signature(ours).parameters
