"""The tree of errors."""

import re
from importlib import import_module
from pkgutil import walk_packages

import recovery
from recovery import errors


def below(kind: type[Exception]) -> set[str]:
    """Return the names of all errors below this one, with its own."""
    return {kind.__name__}.union(*(below(child) for child in kind.__subclasses__()))


def test_the_tree_shows_every_error_whose_message_is_for_people() -> None:
    """The tree in `recovery.errors` and the classes below `RecoveryError` are the same."""
    for module in walk_packages(recovery.__path__, "recovery."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    drawn = re.findall(r"(?m)^[│ ├└─]*([A-Z]\w+)(?:  |$)", errors.__doc__ or "")
    assert sorted(drawn) == sorted(below(errors.RecoveryError))
