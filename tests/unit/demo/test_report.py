"""What the demo expects of an afternoon, and what it makes of mails that are not what it expects."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from recovery.demo import DemoFailed
from recovery.demo.configuration import settings_for
from recovery.demo.mails import Mail
from recovery.demo.report import Case, judge, missing, percentile, table
from recovery.demo.story import afternoon
from recovery.demo.timetable import CLOCK_ERROR, Event, Kind, expected, wrongly_stored
from recovery.shops import shopify

START = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
DELAYS = {"first": timedelta(seconds=3), "second": timedelta(seconds=8), "third": timedelta(seconds=14)}
STEPS = [*DELAYS, "confirmation"]


def after(seconds):
    return START + timedelta(seconds=seconds)


def events(*told):
    """Events such as `("left", 0.5)`, each stored as it was reported."""
    return [Event(Kind(kind), after(at), after(at)) for kind, at in told]


def case(name, *told):
    ids = {step: f"<{name}-{step}@shop.example>" for step in STEPS}
    return Case(name.capitalize(), f"{name}@mail.example", "did something", events(*told), ids)


def mail(case, step, at):
    content = f"Message-ID: {case.message_ids[step]}\r\nSubject: {step}\r\n\r\nHello\r\n"
    return Mail(after(at), case.email, content.encode())


STAYED_AWAY = case("ada", ("left", 0))
ORDERED = case("ben", ("left", 1), ("ordered", 6))
CASES = [STAYED_AWAY, ORDERED]
RIGHT = [
    mail(STAYED_AWAY, "first", 3.010),
    mail(ORDERED, "first", 4.020),
    mail(ORDERED, "confirmation", 6.030),
    mail(STAYED_AWAY, "second", 8.040),
    mail(STAYED_AWAY, "third", 14.050),
]


@pytest.mark.parametrize(
    ("told", "due"),
    [
        ([("left", 0)], {"first": 3, "second": 8, "third": 14}),
        ([("left", 0), ("ordered", 2)], {"confirmation": 2}),
        ([("left", 0), ("ordered", 5)], {"first": 3, "confirmation": 5}),
        ([("left", 0), ("cancelled", 9)], {"first": 3, "second": 8}),
        ([("left", 0), ("cancelled", 1)], {}),
        ([("left", 0), ("left", 2)], {"first": 5, "second": 10, "third": 16}),
        ([("left", 0), ("left", 4)], {"first": 3, "second": 12, "third": 18}),
        ([("left", 0), ("left", 4), ("ordered", 13)], {"first": 3, "second": 12, "confirmation": 13}),
        ([("ordered", 1), ("left", 2)], {"confirmation": 1}),
    ],
)
def test_the_story_alone_tells_which_mails_are_due_when(told, due):
    """Reminders count from the last touch, none is due twice, and an order or a cancellation ends them."""
    assert expected(events(*told), DELAYS) == {step: after(at) for step, at in due.items()}


def test_mails_as_the_schedule_says_are_no_fault():
    """Each mail once, at its time or a little after, is right, and its lateness is reported."""
    report = judge(CASES, RIGHT, DELAYS)
    assert report.faults == []
    assert [round(late.total_seconds() * 1000) for late in report.lateness] == [10, 20, 30, 40, 50]
    assert report.in_time == "5 of 5 mails; lateness p50 30 ms, p99 50 ms, max 50 ms"
    assert missing(CASES, RIGHT, DELAYS) == 0


@pytest.mark.parametrize("index", range(len(RIGHT)))
def test_any_missing_mail_is_a_fault(index):
    """A missing mail is reported with the customer and the step, and shown in the table."""
    mails = RIGHT[:index] + RIGHT[index + 1 :]
    report = judge(CASES, mails, DELAYS)
    assert len(report.faults) == 1
    assert report.faults[0].endswith("did not come.")
    assert missing(CASES, mails, DELAYS) == 1
    assert report.in_time.startswith("4 of 5 mails")
    assert "missing" in drawn(report)


@pytest.mark.parametrize("index", range(len(RIGHT)))
def test_any_mail_that_comes_twice_is_a_fault(index):
    """The same message twice is a double, however close together."""
    [fault] = judge(CASES, [*RIGHT, RIGHT[index]], DELAYS).faults
    assert fault.endswith("came 2 times.")


def test_a_mail_before_it_is_due_is_a_fault():
    """A mail before its time is a fault if it is early by more than the clock's tolerance."""
    early = mail(STAYED_AWAY, "first", 2.9)
    assert judge(CASES, [early, *RIGHT[1:]], DELAYS).faults == [
        "Ada did something, and first came 100 ms before it was due."
    ]
    hardly = mail(STAYED_AWAY, "first", 3 - CLOCK_ERROR.total_seconds() / 2)
    assert judge(CASES, [hardly, *RIGHT[1:]], DELAYS).faults == []


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        (mail(ORDERED, "second", 9.01), "Ben did something, and yet second came."),
        (mail(STAYED_AWAY, "confirmation", 1), "Ada did something, and yet confirmation came."),
        (
            Mail(after(1), "eve@mail.example", b"Subject: Hello\r\n\r\n"),
            "An unknown mail came for eve@mail.example: Hello.",
        ),
    ],
)
def test_a_mail_that_was_not_to_come_is_a_fault(extra, fault):
    """A reminder after the order, a confirmation without one, and an unknown mail are all reported."""
    assert judge(CASES, [*RIGHT, extra], DELAYS).faults == [fault]


def test_a_mail_to_somebody_else_is_a_fault_and_does_not_count():
    """A message with the right Message-ID in the wrong box has not reached its customer."""
    astray = Mail(RIGHT[0].at, ORDERED.email, RIGHT[0].content)
    report = judge(CASES, [astray, *RIGHT[1:]], DELAYS)
    assert report.faults == [
        "A mail meant for ada@mail.example went to ben@mail.example: first.",
        "Ada did something, and first did not come.",
    ]


def test_a_time_that_is_kept_wrongly_is_a_fault():
    """Due times count from stored times: a time stored differently from its report is a fault."""
    edited = Case("Ada", "ada@mail.example", "edited", [Event(Kind.LEFT, after(4), after(0))], STAYED_AWAY.message_ids)
    right = [mail(edited, step, 0.01 + delay.total_seconds()) for step, delay in DELAYS.items()]
    [fault] = judge([edited], right, DELAYS).faults
    assert fault == "Ada was left at 14:00:04.000000, but 14:00:00.000000 was stored."


def test_a_checkout_told_after_its_order_moves_no_time():
    """The stored time of an ordered checkout does not change with a later report."""
    assert wrongly_stored([*events(("ordered", 1)), Event(Kind.LEFT, after(2), after(1))]) is None


def test_percentiles_are_values_that_occur():
    """The nearest rank: of twenty values the 99th percentile is the greatest, the 50th the tenth."""
    values = [timedelta(milliseconds=number) for number in range(1, 21)]
    assert (percentile(values, 50), percentile(values, 99), percentile(values, 0)) == (values[9], values[19], values[0])


def test_nothing_that_came_is_told_without_figures():
    """With no mail at all there is nothing to be late."""
    assert judge(CASES, [], DELAYS).in_time == "0 of 5 mails"


def test_the_table_names_everybody_in_eighty_columns():
    """Each customer is in the table with what happened, and a dash where nothing was to come."""
    text = drawn(judge(CASES, RIGHT, DELAYS))
    for word in ("Ada", "Ben", "did something", *STEPS, "10 ms", "–"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_settings_of_the_demo_come_from_nowhere_else(monkeypatch, tmp_path):
    """Neither a variable nor a file can send the demo's mails to a real relay, or change what it expects."""
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "recovery.toml").write_text('[smtp]\nhost = "relay.example.com"\n[nonsense]\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECOVERY_SMTP__HOST", "relay.example.com")
    monkeypatch.setenv("RECOVERY_SMTP__USERNAME", "somebody")
    monkeypatch.setenv("RECOVERY_CONFIRMATION__ENABLED", "false")
    settings = settings_for(uri="mongodb://127.0.0.1", database="demo", smtp_port=2525, webhook_secret="s")
    assert (settings.smtp.host, settings.smtp.port, settings.smtp.username) == ("127.0.0.1", 2525, None)
    assert settings.http.host == "127.0.0.1"
    schedule = settings.to_schedule()
    assert schedule.confirmation is not None
    assert [step.delay for step in schedule.steps] == list(DELAYS.values())


def test_a_wrong_address_of_a_database_is_told_in_a_sentence():
    """The one variable that the demo reads is named if it is invalid, and its value is not repeated."""
    with pytest.raises(DemoFailed) as told:
        settings_for(uri="secret.example:27017", database="demo", smtp_port=2525, webhook_secret="s")
    assert str(told.value) == "RECOVERY_MONGODB__URI must begin with mongodb:// or mongodb+srv://."


def drawn(report):
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(table(report, STEPS))
    return capture.get()


def test_the_afternoon_shows_every_kind_of_customer():
    """At least eight checkouts: ordered before, between and at once, edited, cancelled, and never come back to."""
    lists = [expected(events(*((s.kind, s.at) for s in v.scenes)), DELAYS) for v in afternoon().checkouts]
    assert len(lists) >= 8
    reminders = [len(due.keys() - {"confirmation"}) for due in lists]
    assert {(count, "confirmation" in due) for count, due in zip(reminders, lists, strict=True)} >= {
        *((0, True), (1, True), (2, True)),  # ordered
        *((0, False), (1, False), (3, False)),  # cancelled, or never come back to
    }
    emails = [visit.email for visit in afternoon().checkouts]
    assert len(set(emails)) == len(emails)


def test_no_scene_races_with_a_mail():
    """Between a scene and any mail that it stops, moves or lets go lies a second, so slow machines tell the same."""
    for visit in afternoon().checkouts:
        for scene in visit.scenes:
            for later in visit.scenes:
                if scene.kind is Kind.LEFT and later.at > scene.at:
                    margins = [abs(scene.at + delay.total_seconds() - later.at) for delay in DELAYS.values()]
                    assert min(margins) >= 1 - 1e-9, (visit.customer, later.does)


def test_every_file_of_the_afternoon_is_read_as_it_is_told():
    """What Shopify would send is read as the customer, the key, the address and the time of the story."""
    story = afternoon()
    for visit, scene in story.scenes():
        if scene.topic is None:
            continue
        found = shopify.read(scene.topic, story.shop, json.loads(scene.body(START.isoformat())))
        report = found.report
        assert report.id == story.id(visit)
        assert report.customer.email == visit.email
        assert START in (getattr(report, "touched_at", None), getattr(report, "ordered_at", None))
        assert report.total >= sum(item.price * item.quantity for item in report.items) > 0
