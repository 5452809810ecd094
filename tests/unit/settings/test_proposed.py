"""Proposed schedules: what they change, what they leave, and what they may not have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.settings import SettingsError
from recovery.settings.given import given_settings
from recovery.settings.proposed import proposal_of, proposed, text_of

IN_FORCE = given_settings(
    {
        "schedule": {"quiet_hours": "21:00-08:00", "min_gap": "3h", "steps": [{"name": "one", "delay": "1h"}]},
        "smtp": {"username": "shop", "password": "not-a-secret", "timeout": "30s"},
        "mail": {"sender": "Shop <shop@shop.example>"},
    }
)


def test_what_a_proposal_leaves_out_stays_as_it_is_in_force():
    """One setting of a section is changed, and no other."""
    found = proposed(IN_FORCE, {"schedule": {"min_gap": "5h"}}, "given here").to_schedule()
    expected = given_settings(
        {"schedule": {"quiet_hours": "21:00-08:00", "min_gap": "5h", "steps": [{"name": "one", "delay": "1h"}]}}
    )
    assert found == expected.to_schedule()
    assert proposed(IN_FORCE, {"schedule": {"quiet_hours": ""}}, "given here").schedule.quiet_hours is None
    assert proposed(IN_FORCE, {"confirmation": {"enabled": False}}, "given here").to_schedule().confirmation is None


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"schedule": {"min_gap": "soon"}}, "schedule.min_gap (RECOVERY_SCHEDULE__MIN_GAP, given here): must be"),
        ({"schedule": {"delay": "1h"}}, "schedule.delay: unknown setting"),
        ({"schedule": {"lease": "59s"}}, "must be at least 1m, twice smtp.timeout"),
        ({"schedule": {"steps": [{"name": "two"}]}}, "schedule.steps[0].delay"),
        ({"schedule": "soon"}, "schedule (given here): must be a table of settings"),
    ],
)
def test_faults_are_those_of_the_settings(tables, said):
    """The same sentences, with the origin of the proposal; and no value of another section."""
    with pytest.raises(SettingsError) as caught:
        proposed(IN_FORCE, tables, "given here")
    assert said in str(caught.value)
    assert "not-a-secret" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None


LATER = {"share": 0.5, "until": "2030-01-01", "steps": [{"name": "one", "delay": "2h"}]}
KEYS = {"keys": ["k" * 32]}


def test_experiments_can_be_tried_beside_those_in_force():
    """One of the same name takes the place of that in force; the others stay, with key and test recipients."""
    quiet = {"share": 0.1, "until": "2030-01-01"}
    mail = {"sender": "Shop <shop@shop.example>", "test_recipients": ["@shop.example"]}
    in_force = given_settings({"suppressions": KEYS, "mail": mail, "experiments": {"quiet": quiet}})
    assert proposed(in_force, {"schedule": {}}, "given here").to_schedule() == in_force.to_schedule()
    found = proposed(in_force, {"experiments": {"later": LATER}}, "given here").to_experiments()
    assert [each.name for each in found.all] == ["quiet", "later"]
    assert (found.key, found.left_out) == (b"k" * 32, {"@shop.example"})
    found = proposed(in_force, {"experiments": {"quiet": LATER}}, "given here").to_experiments()
    assert [(each.name, len(each.steps)) for each in found.all] == [("quiet", 1)]


@pytest.mark.parametrize(
    ("experiments", "said"),
    [
        ({"later": LATER}, "suppressions.keys (RECOVERY_SUPPRESSIONS__KEYS): is required with experiments"),
        ({"later": LATER | {"share": 1}}, "experiments.later.share (given here): must be above 0 and at most 0.5"),
        ("all", "experiments (given here): "),
        ({"later": "2h"}, "experiments.later (given here): must be a table of settings"),
    ],
)
def test_a_fault_in_an_experiment_that_is_tried(experiments, said):
    """As the daemon would refuse it."""
    with pytest.raises(SettingsError) as caught:
        proposed(IN_FORCE, {"experiments": experiments}, "given here")
    assert said in str(caught.value)


def test_steps_that_could_not_be_sent_are_refused():
    """By the gap of the proposal, if it has one."""
    close = LATER | {"steps": [*LATER["steps"], {"name": "two", "delay": "3h", "max_lateness": "1h"}]}
    in_force = given_settings({"suppressions": KEYS})
    with pytest.raises(SettingsError, match=r"experiments.later.steps: two is due 1h after one"):
        proposed(in_force, {"experiments": {"later": close}}, "given here")
    assert proposed(in_force, {"experiments": {"later": close}, "schedule": {"min_gap": "1h"}}, "given here")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[schedule", "new.toml is not TOML"),
        ("", "new.toml has no [schedule], no [confirmation] and no [experiments.<name>]"),
        (
            '[smtp]\nhost = "x"\n[schedule]\n',
            "smtp: only [schedule], [confirmation] and [experiments.<name>] can be tried",
        ),
        (f"[schedule]\nsteps = {'[' * 5000}", "new.toml is not TOML"),
        (f"[schedule]\nmin_gap = {'9' * 5000}", "new.toml is not TOML"),
    ],
)
def test_a_text_that_is_no_proposal_is_refused(text, said):
    """With what is wrong."""
    with pytest.raises(SettingsError) as caught:
        proposal_of(text, "new.toml")
    assert said in str(caught.value)


def test_of_many_faults_the_first_are_told():
    """Each is looked up among all settings, which takes milliseconds: a text may have thousands."""
    with pytest.raises(SettingsError) as caught:
        proposed(IN_FORCE, {"schedule": {f"k{number}": 1 for number in range(500)}}, "given here")
    *first, last = caught.value.problems
    assert len(first) == 20
    assert last == "and 480 more"


@given(
    st.lists(st.sampled_from(["1m", "1h", "2d 3h", "4d"]), unique=True, max_size=4),
    st.sampled_from(["", "21:00-08:00", "00:15-06:30"]),
    st.booleans(),
    st.sampled_from(["checkout", "customer"]),
)
def test_the_text_of_a_schedule_is_a_proposal_that_changes_nothing(delays, quiet_hours, require_consent, stop_on):
    """So a form that shows it begins with what is in force."""
    settings = given_settings(
        {
            "schedule": {
                "steps": [{"name": f"step-{number}", "delay": delay} for number, delay in enumerate(delays)],
                "min_gap": "0s",
                "quiet_hours": quiet_hours,
                "require_consent": require_consent,
                "stop_on": stop_on,
                "time_zone": "Asia/Tokyo",
            }
        }
    )
    tables = proposal_of(text_of(settings), "this text")
    assert proposed(settings, tables, "here").to_schedule() == settings.to_schedule()
