"""Tools for tests: a kit with a virtual clock for tests of your service, and a throwaway MongoDB."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recovery.testing.http import Answer
    from recovery.testing.kit import RecoveryKit
    from recovery.testing.mails import Mail
    from recovery.testing.synchronous import SyncRecoveryKit

__all__ = ["Answer", "Mail", "RecoveryKit", "SyncRecoveryKit"]

_MODULES = {"Answer": "http", "Mail": "mails", "RecoveryKit": "kit", "SyncRecoveryKit": "synchronous"}

if not TYPE_CHECKING:  # a type checker would accept every name

    def __getattr__(name: str) -> Any:
        """Import a name on first use, so that the plug-in of pytest costs nothing where it is not used."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        globals()[name] = value
        return value
