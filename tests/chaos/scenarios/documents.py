"""Poison: what crashes the renderer, and what was put into the collections by hand."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

from recovery.mail.templates.templates import DEFAULTS
from tests.chaos.checker import Promise
from tests.chaos.ledger import Key
from tests.chaos.scenarios import scenario
from tests.chaos.world import World

HUGE = "x" * 5_000_000
CRASH = '{{ 1 // (0 if order_id.startswith("poison") else 1) }}'


@scenario("poison", "a message that crashes the renderer, wrong types, a name of 5 MB")
async def poison(world: World) -> Promise:
    """Others are unaffected; each ends as a dead letter that says what is wrong."""
    count, poisoned = world.size(500, 50), 3
    bad = [f"poison{number}" for number in range(poisoned)]
    names = [*(f"c{number}" for number in range(count)), *bad]
    world.rng.shuffle(names)
    with tempfile.TemporaryDirectory(prefix="recovery-chaos-") as folder:
        for path in DEFAULTS.iterdir():
            (Path(folder) / path.name).write_text(path.read_text())
        (Path(folder) / "reminder-1.txt.j2").write_text(f"You left something behind. {CRASH}")
        world.settings["RECOVERY_MAIL__TEMPLATES"] = folder
        async with world.daemon():
            await _put_in_by_hand(world)
            await world.report_all(names)
            await world.settle()
    letters = {each["_id"]: each async for each in world.database["dead_letters"].find()}
    for name in bad:
        key = f"shop.example/{name}#reminder-1"
        world.expect(letters.get(key, {}).get("cause") == "render error", f"no dead letter tells of {key}")
    for name, field in (("wrong", "status"), ("huge", "name"), ("list", "messages")):
        letter = letters.get(f"shop.example/{name}#", {})
        told = letter.get("cause") == "invalid document" and field in letter.get("error", "")
        world.expect(told, f"no dead letter tells of the document {name}: {letter}")
    strange = {key for key in letters if "/c" in key}
    world.expect(not strange, f"others are dead letters as well: {strange}")
    ends = await world.ends()
    alive = [name for name in bad if ends[Key(f"shop.example/{name}", "reminder-1")][0] != "dead"]
    world.expect(not alive, f"{alive} are not dead")
    return Promise(dead=poisoned, on_time=True)


async def _put_in_by_hand(world: World) -> None:
    """Put documents in past the validator: wrong types, a name of 5 MB, and a key that is none."""
    now = datetime.now(UTC)
    sound = {"status": "open", "revision": 1, "opened_at": now, "touched_at": now, "next_at": now, "facts": {}}
    facts = {"customer": {"email": "huge@example.com", "name": HUGE}}
    checkouts = world.database["checkouts"]
    await checkouts.insert_many(
        [
            sound | {"_id": "shop.example/wrong", "status": 7, "facts": "none"},
            sound | {"_id": "shop.example/huge", "facts": facts},
            sound | {"_id": "shop.example/list", "messages": [1, 2, 3]},
            {"_id": 42, "status": "open", "next_at": "yesterday"},
        ],
        bypass_document_validation=True,
    )
