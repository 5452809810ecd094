"""Every mutant fits the project as it is: one that does not apply any more proves nothing."""

from pathlib import Path

import pytest

import recovery
from tests.chaos.run import SCENARIOS
from tests.mutants.catalogue import MUTANTS, Edit, Mutant

ROOT = Path(recovery.__file__).parent


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_and_names_rows_that_there_are(mutant):
    """Each of its edits has its one place in the code."""
    mutant.check(ROOT)
    assert set(mutant.rows) <= set(SCENARIOS)


def test_every_row_has_a_mutant_that_it_must_see():
    """A row that was never red proves nothing. The soak has what all of them have."""
    assert {mutant.rows[0] for mutant in MUTANTS} == set(SCENARIOS) - {"soak"}


def test_one_that_does_not_fit_is_told_by_its_name():
    """And so is what was looked for."""
    with pytest.raises(
        ValueError, match=r"the mutant odd has to be renewed: engine/engine\.py has 0 times, not once: 'nonsense'"
    ):
        Mutant("odd", "x", (), (Edit("engine/engine.py", "nonsense", ""),)).check(ROOT)
