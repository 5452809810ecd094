"""Trials of schedules in the console: what is refused before anything is read."""

import pytest

from recovery.app.trial import LONGEST_TEXT, MOST_STEPS, ScheduleTrial
from recovery.console.trial import BadSchedule
from recovery.settings.given import given_settings

STEPS = ", ".join(f'{{ name = "step-{number}", delay = "{number + 1}h" }}' for number in range(MOST_STEPS + 1))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[schedule]\nmin_gap = "soon"\n', "schedule.min_gap (RECOVERY_SCHEDULE__MIN_GAP, set in this text): must be"),
        ("[schedule", "this text is not TOML"),
        ("#" * (LONGEST_TEXT + 1), "longer than"),
        (f"[schedule]\n{'.'.join('a' * 5000)} = 1", "a line of this text has more than"),
        (f'[schedule]\nmin_gap = "0s"\nsteps = [{STEPS}]\n', "schedule.steps: at most"),
    ],
)
async def test_what_cannot_be_tried_is_refused_with_a_sentence(text, said):
    """Faulty settings, and what would take the daemon's loop for long: the database is not asked."""
    trial = ScheduleTrial(given_settings({}), None, None)
    with pytest.raises(BadSchedule) as caught:
        await trial.compare(text, "shop.example", None)
    assert said in caught.value.problems[0]
