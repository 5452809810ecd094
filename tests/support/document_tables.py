"""The tables of docs/architecture.md about documents, from `recovery/mongo/fields.py`."""

from collections.abc import Iterator

from recovery.mongo.collections import CHECKOUTS, COLLECTIONS
from recovery.mongo.schemas import Field


def checkouts() -> str:
    """Return the table of the fields of checkouts."""
    rows = (_row(*each) for name, field in COLLECTIONS[CHECKOUTS].fields.items() for each in _unfolded(name, field))
    return "".join(["| field | type | meaning |\n|---|---|---|\n", *rows])


def others() -> str:
    """Return the table of the fields of the other collections."""
    rows = [
        f"| `{collection}` {_row(name, field)}"
        for collection, each in COLLECTIONS.items()
        if collection != CHECKOUTS
        for name, field in each.fields.items()
    ]
    return "".join(["| collection | field | type | meaning |\n|---|---|---|---|\n", *rows])


def _unfolded(name: str, field: Field) -> Iterator[tuple[str, Field]]:
    """Yield a field; in place of one whose names are data, what has these names."""
    data = {below: each for below, each in field.fields.items() if below.startswith("<")}
    yield from ((f"{name}.{below}", each) for below, each in data.items())
    if not data:
        yield name, field


def _row(name: str, field: Field) -> str:
    return f"| `{name}` | {field.types.replace(' ', ' or ')} | {_meaning(field)} |\n"


def _meaning(field: Field) -> str:
    values = ", ".join(f"`{value}`" for value in field.values)
    below = ", ".join(
        f"`{name}`" + (f" ({', '.join(f'`{value}`' for value in each.values)})" if each.values else "")
        for name, each in field.fields.items()
    )
    return ": ".join(filter(None, [field.meaning, values, below]))
