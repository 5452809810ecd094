"""Experiments and results, as people set them."""

from datetime import date, timedelta

import pytest

from recovery.domain.experiments import NO_EXPERIMENTS, Experiment
from recovery.settings import SettingsError, load_settings

KEY = "k" * 32
QUIET = {"share": 0.1, "until": "2026-12-31"}


def loaded(**experiments):
    return load_settings(suppressions={"keys": [KEY]}, experiments=experiments)


def fault(**experiments):
    with pytest.raises(SettingsError) as refused:
        loaded(**experiments)
    return str(refused.value)


def test_without_any_nothing_changes():
    """By default nobody is held out, and no key is needed."""
    assert load_settings().to_schedule().experiments is NO_EXPERIMENTS


def test_a_hold_out(config):
    """An experiment of the file, with the oldest key of the suppression list and the test recipients left out."""
    config(
        '[suppressions]\nkeys = ["new-new-new-new-new", "old-old-old-old-old"]\n'
        '[mail]\ntest_recipients = ["Me@Shop.example", "@own.example"]\n'
        '[experiments.quiet]\nshare = 0.1\nfrom = 2026-11-01\nuntil = "2026-12-31"\nshops = ["a.example"]\n'
    )
    experiments = load_settings().to_schedule().experiments
    last, first = date(2026, 12, 31), date(2026, 11, 1)
    assert experiments.all == (Experiment("quiet", 0.1, last, first, frozenset({"a.example"})),)
    assert experiments.key == b"old-old-old-old-old"
    assert experiments.left_out == {"me@shop.example", "@own.example"}


def test_a_key_that_is_added_moves_nobody():
    """Keys are rotated by adding one in front; the arms stay those of the oldest."""
    before = loaded(quiet=QUIET).to_experiments()
    after = load_settings(suppressions={"keys": ["n" * 32, KEY]}, experiments={"quiet": QUIET}).to_experiments()
    assert before == after


def test_other_templates_and_the_steps_they_are_for():
    """The schedule names the mails that must have templates."""
    settings = loaded(words=QUIET | {"templates": {"reminder-1": "short"}})
    assert [step.template for step in settings.to_schedule().mails][-1] == "short"
    assert "has no step reminder-9 in the schedule; there are reminder-1, reminder-2, reminder-3" in fault(
        words=QUIET | {"templates": {"reminder-9": "short"}}
    )


def test_without_a_key_the_daemon_does_not_start():
    """A hash without a key could be worked out by anybody, and would move when one is added."""
    with pytest.raises(SettingsError, match=r"suppressions.keys .*is required with experiments"):
        load_settings(experiments={"quiet": QUIET})


@pytest.mark.parametrize("share", [0, -0.1, 0.51, 1])
def test_a_share_of_more_than_half_is_refused(share):
    """A hold-out costs orders: at most half of the people."""
    assert "experiments.quiet.share" in fault(quiet=QUIET | {"share": share})


@pytest.mark.parametrize(
    ("experiments", "sentence"),
    [
        ({"quiet": {"share": 0.1}}, "experiments.quiet.until"),
        ({"quiet": QUIET | {"until": "soon"}}, "must be a day such as 2026-12-01"),
        (
            {"quiet": QUIET | {"shre": 1}},
            "experiments.quiet.shre: unknown setting; did you mean experiments.quiet.share",
        ),
        ({"Quiet": QUIET}, "must be a lower-case letter"),
        ({"one": QUIET, "two": QUIET}, "one and two would have the same checkouts on the same days"),
    ],
)
def test_a_fault_names_its_setting(experiments, sentence):
    """Each is a sentence with the name of the setting."""
    assert sentence in fault(**experiments)


def test_experiments_that_do_not_meet_are_taken():
    """One after the other, at different shops, or in different mails."""
    loaded(one=QUIET, two=QUIET | {"from": "2027-01-01", "until": "2027-02-01"})
    loaded(one=QUIET | {"shops": ["a"]}, two=QUIET | {"shops": ["b"]})
    loaded(one=QUIET, two=QUIET | {"templates": {"reminder-1": "short"}})
    first, second = ({"templates": {step: "short"}} for step in ("reminder-1", "reminder-2"))
    loaded(one=QUIET | first, two=QUIET | second)


def test_results_have_a_window():
    """Five days by default."""
    assert load_settings().results.window == timedelta(days=5)


LATER = [{"name": "reminder-1", "delay": "2h"}, {"name": "reminder-2", "delay": "2d", "coupon": "TEN"}]


def test_two_schedules(config):
    """The steps are as in the schedule: in order, and with the same defaults."""
    config(
        f'[suppressions]\nkeys = ["{KEY}"]\n[experiments.later]\nshare = 0.5\nuntil = "2026-12-31"\n'
        'steps = [{ name = "reminder-2", delay = "2d", coupon = "TEN" }, { name = "reminder-1", delay = "2h" }]\n'
    )
    (experiment,) = load_settings().to_schedule().experiments.all
    assert [(each.name, each.delay, each.coupon) for each in experiment.steps] == [
        ("reminder-1", timedelta(hours=2), None),
        ("reminder-2", timedelta(days=2), "TEN"),
    ]
    assert [each.max_lateness for each in experiment.steps] == [timedelta(hours=12)] * 2
    assert experiment.id == loaded(later=QUIET | {"share": 0.5, "steps": LATER}).to_experiments().all[0].id


@pytest.mark.parametrize(
    ("later", "sentence"),
    [
        ({"steps": [{"name": "reminder-1", "delay": "soon"}]}, "experiments.later.steps[0].delay"),
        (
            {"steps": [{"name": "reminder-1", "dlay": "2h"}]},
            "experiments.later.steps[0].dlay: unknown setting; did you mean experiments.later.steps[0].delay",
        ),
        ({"steps": [LATER[0], LATER[0] | {"delay": "3d"}]}, "must not have two steps with the same name: reminder-1"),
        ({"steps": [LATER[0] | {"name": "confirmation"}]}, "must not have a step named confirmation"),
        ({"steps": LATER, "templates": {"reminder-1": "short"}}, "experiments.later.templates"),
        (
            {"steps": [LATER[0], {"name": "reminder-2", "delay": "3h", "max_lateness": "1h"}]},
            "experiments.later.steps: reminder-2 is due 1h after reminder-1, and schedule.min_gap is 6h",
        ),
        (
            {"steps": [{"name": "reminder-1", "delay": "30d"}]},
            "experiments.later.steps: the last may take 30d 12h, and schedule.retention is 30d",
        ),
    ],
)
def test_a_fault_in_the_steps_names_its_setting(later, sentence):
    """Steps are held to the rules of the schedule."""
    assert sentence in fault(later=QUIET | later)


def test_steps_are_held_to_the_rules_of_the_shops_that_have_them():
    """A shop without a gap may have steps that follow each other closely; another one may not."""
    close = QUIET | {"steps": [LATER[0], {"name": "reminder-2", "delay": "3h", "max_lateness": "1h"}]}
    shops = {"a.example": {"schedule": {"min_gap": "0s"}}}
    keys = {"keys": [KEY]}
    load_settings(suppressions=keys, shops=shops, experiments={"later": close | {"shops": ["a.example"]}})
    for elsewhere in ([], ["b.example"], ["a.example", "b.example"]):
        with pytest.raises(SettingsError, match=r"experiments.later.steps: reminder-2 is due 1h after"):
            load_settings(suppressions=keys, shops=shops, experiments={"later": close | {"shops": elsewhere}})


def test_one_comparison_of_schedules_at_a_time():
    """Beside a hold-out and a comparison of templates, but not beside another one of schedules."""
    later = QUIET | {"steps": LATER}
    loaded(one=QUIET, two=later, three=QUIET | {"templates": {"reminder-1": "short"}})
    assert "one and two would have the same checkouts on the same days" in fault(one=later, two=later)
    loaded(one=later, two=later | {"from": "2027-01-01", "until": "2027-02-01"})
