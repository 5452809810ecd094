"""The one definition of each document, against the models, the code that reads and writes, and the indexes."""

import pytest

from recovery.domain.checkout import Consent, Customer, Facts, Item
from recovery.domain.state import CheckoutState, Claim, KeptConsent, Message, Past
from recovery.mongo import fields
from recovery.mongo.collections import COLLECTIONS
from tests.support import field_names

NOT_READ = {"schema", "shop", "address", "known_as", "settled", "written_at", "assigned_at"}
"""Fields of a checkout that the state does not have: they are there to find it by."""


@pytest.mark.parametrize(
    ("model", "document"),
    [
        (CheckoutState, {name: each for name, each in fields.CHECKOUT.items() if name not in NOT_READ}),
        (Facts, fields.FACTS),
        (Customer, fields.FACTS["customer"].fields),
        (Item, fields.FACTS["items"].fields),
        (KeptConsent, fields.CONSENT),
        (Consent, fields.CONSENT),
        (Message, fields.MESSAGE),
        (Claim, fields.CLAIM),
        (Past, fields.HISTORY),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_model_has_the_fields_of_its_document(model, document):
    """A model reads every field of its document, and no other."""
    assert {field.alias or name for name, field in model.model_fields.items()} == document.keys()


def test_a_state_without_default_is_required():
    """What the model cannot do without is required of the document."""
    needed = {field.alias or name for name, field in CheckoutState.model_fields.items() if field.is_required()}
    assert needed == {name for name, each in fields.CHECKOUT.items() if each.required}


def test_the_code_spells_only_names_of_fields():
    """A name that no document has, in a query, an update or a reader, is a mistake."""
    assert {module: names for module, names in field_names.unknown().items() if names} == {}


@pytest.mark.parametrize("name", sorted(COLLECTIONS))
def test_indexes_are_on_fields(name):
    """Keys and filters of an index are fields of the collection's documents."""
    known = set(field_names.paths(COLLECTIONS[name].fields))
    for index in COLLECTIONS[name].indexes:
        assert {*index.document["key"], *index.document.get("partialFilterExpression", {})} <= known


def test_a_name_that_no_document_has_is_found(tmp_path, monkeypatch):
    """The search sees a misspelt name as a key, in a path, as a keyword of intake, and in a projection."""
    folder = tmp_path / "recovery/mongo"
    folder.mkdir(parents=True)
    (folder / "some.py").write_text(
        'from recovery.mongo.collections import CHECKOUTS\n'
        'query = {"nxt_at": None, "$set": {f"messages.{step}.stat": 1, f"{message}.attempt": 2}, "next_at": "$fact"}\n'
        'changed = _merged(adress=1, facts={"$gt": ["$facts.custom", None]})\n'
        'find(query, ["_id", "claim.tokn", "beat_at"])\n'
    )  # fmt: skip
    monkeypatch.setattr(field_names, "ROOT", tmp_path)
    wrong = {"nxt_at", "messages.<>.stat", "<>.attempt", "fact", "adress", "facts.custom", "claim.tokn", "beat_at"}
    assert field_names.unknown() == {"some.py": wrong}
