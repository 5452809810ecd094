"""Rules between settings, and their errors."""

import re
from datetime import UTC, datetime, time, timedelta

import pytest

from recovery.domain.quiet_hours import QuietHours
from recovery.domain.schedule import CONFIRMATION, OnAmbiguous, Schedule, Step, StopOn
from recovery.settings import load_settings
from tests.support.settings_files import SECRET, refused, steps

LINKED = {"links": {"base_url": "https://mail.shop.example/recovery/", "keys": [SECRET]}}
RULES = [
    ({"mongodb": {"uri": "localhost"}}, "mongodb.uri", "must begin with mongodb:// or mongodb+srv://"),
    ({"mongodb": {"database": "a.b"}}, "mongodb.database", "must be up to 63 letters, digits, _ or -"),
    ({"smtp": {"host": "mail:25"}}, "smtp.host", "must be a host name or an IP address, without a port"),
    ({"smtp": {"port": 0}}, "smtp.port", "should be greater than or equal to 1"),
    ({"smtp": {"port": 65536}}, "smtp.port", "should be less than or equal to 65535"),
    ({"smtp": {"tls": "maybe"}}, "smtp.tls", "should be 'none', 'starttls' or 'implicit'"),
    ({"smtp": {"username": "shop"}}, "smtp.password", "is required with smtp.username"),
    ({"smtp": {"password": SECRET}}, "smtp.username", "is required with smtp.password"),
    (
        {"smtp": {"username": "shop", "password": SECRET, "host": "mail.example.com"}},
        "smtp.tls",
        "must be starttls or implicit, or the password is sent unencrypted",
    ),
    ({"smtp": {"ca_file": "nowhere.pem"}}, "smtp.ca_file", "must be an existing file"),
    ({"smtp": {"ca_file": "x" * 5_000}}, "smtp.ca_file", "must be an existing file"),
    ({"mail": {"templates": "x" * 5_000}}, "mail.templates", "must be an existing folder"),
    ({"dkim": {"private_key_file": "x" * 5_000}}, "dkim.private_key_file", "must be an existing file"),
    ({"receivers": {"groups": {"all": ["*"]}}}, "receivers.groups", "all: '*' would match every domain"),
    ({"receivers": {"groups": {"all": [""]}}}, "receivers.groups", "all: '' would match every domain"),
    ({"receivers": {"groups": {"all": ["."]}}}, "receivers.groups", "all: '.' would match every domain"),
    (
        {"receivers": {"groups": {"all": ["de"]}}},
        "receivers.groups",
        "all: 'de' would match every domain that ends in .de",
    ),
    (
        {"receivers": {"groups": {"a": ["lamps.example"], "b": ["lamps.example"]}}},
        "receivers.groups",
        "lamps.example is in two groups, a and b",
    ),
    ({"receivers": {"groups": {"others": ["lamps.example"]}}}, "receivers.groups", "others stands for all receivers"),
    ({"smtp": {"timeout": "0s"}}, "smtp.timeout", "must be longer than 0s"),
    ({"smtp": {"local_hostname": "a\r\nb"}}, "smtp.local_hostname", "must be a host name, or an IP address in []"),
    ({"warmup": {"from": "1 December"}}, "warmup.from", "must be a day such as 2026-12-01"),
    ({"warmup": {"from": "2026-02-30"}}, "warmup.from", "must be a day such as 2026-12-01"),
    ({"warmup": {"from": datetime(2026, 12, 1, tzinfo=UTC)}}, "warmup.from", "must be a day such as 2026-12-01"),
    ({"warmup": {"from": 20261201}}, "warmup.from", "must be a day such as 2026-12-01"),
    ({"warmup": {"growth": 1}}, "warmup.growth", "must be 1.01 to 2, such as 1.5 for half as many again on each day"),
    ({"warmup": {"growth": 150}}, "warmup.growth", "must be 1.01 to 2, such as 1.5"),
    ({"warmup": {"growth": "nan"}}, "warmup.growth", "must be 1.01 to 2, such as 1.5"),
    ({"warmup": {"first_day": 0}}, "warmup.first_day", "should be greater than or equal to 1"),
    ({"warmup": {"first_day": 500, "last_day": 400}}, "warmup.last_day", "must be at least warmup.first_day"),
    ({"warmup": {"halt_at": 0}}, "warmup.halt_at", "should be greater than 0"),
    ({"mail": {"sender": "Shop"}}, "mail.sender", "must be an e-mail address like Shop <shop@example.com>"),
    ({"mail": {"sender": "A <a@example.com>\r\nBcc: b@example.com"}}, "mail.sender", "must be an e-mail address like"),
    ({"mail": {"sender": "läden@example.com"}}, "mail.sender", "must be an e-mail address like"),
    ({"mail": {"reply_to": "a@b@c"}}, "mail.reply_to", "must be an e-mail address like Shop <shop@example.com>"),
    ({"mail": {"message_id_domain": "a b"}}, "mail.message_id_domain", "must be a domain like example.com"),
    ({"mail": {"sender": '"A > B" <a@example.com>'}}, "mail.sender", "must be an e-mail address like"),
    ({"mail": {"sender": "A\x00 <a@example.com>"}}, "mail.sender", "must be an e-mail address like"),
    ({"mail": {"list_id": "Shop"}}, "mail.list_id", "must be like Shop <reminders.shop.example>"),
    ({"mail": {"list_id": "Shop <a.b\r\nBcc: c>"}}, "mail.list_id", "must be like Shop"),
    (
        {"mail": {"test_recipients": "example.com"}},
        "mail.test_recipients[0]",
        "must be an e-mail address, or a domain such",
    ),
    ({"mail": {"templates": "nowhere"}}, "mail.templates", "must be an existing folder"),
    ({"dkim": {"domain": "shop.example"}}, "dkim.selector", "is required with dkim.domain"),
    (
        {"dkim": {"domain": "shop.example", "selector": "a"}},
        "dkim.private_key_file",
        "is required with dkim.domain",
    ),
    ({"dkim": {"domain": "läden.example"}}, "dkim.domain", "must be a domain name in ASCII"),
    ({"dkim": {"selector": "a b"}}, "dkim.selector", "must be letters, digits and -, with dots between them"),
    ({"dkim": {"private_key_file": "nowhere.pem"}}, "dkim.private_key_file", "must be an existing file"),
    ({"schedule": {"steps": "x"}}, "schedule.steps", "must be valid JSON if given as text"),
    ({"schedule": {"steps": [{"name": "a", "subject": "b"}]}}, "schedule.steps[0].delay", "is required"),
    ({"schedule": {"steps": "5"}}, "schedule.steps", "must be a list"),
    ({"schedule": {"steps": ["x"]}}, "schedule.steps[0]", "must be a table of settings"),
    (
        {"schedule": {"steps": [{"name": "A", "delay": "1h", "subject": "b"}]}},
        "schedule.steps[0].name",
        "must be a lower-case letter and up to 39 lower-case letters, digits, _ or -",
    ),
    (
        {"schedule": {"steps": [{"name": "a", "delay": "1h", "subject": "b\nBcc: c"}]}},
        "schedule.steps[0].subject",
        "must be one line of text",
    ),
    (
        {"schedule": {"steps": [{"name": CONFIRMATION, "delay": "1h", "subject": "b"}]}},
        "schedule.steps",
        "must not have a step named confirmation: that is the mail that confirms an order",
    ),
    (
        {"schedule": {"steps": [*steps("1h"), *steps("2h")], "min_gap": "0s"}},
        "schedule.steps",
        "must not have two steps with the same name: step-0",
    ),
    (
        {"schedule": {"steps": steps("60m", "1h")}},
        "schedule.steps",
        "must not have two steps with the same delay: step-0 and step-1, 1h",
    ),
    (
        {"schedule": {"steps": steps("10s", "20s", "30s")}},
        "schedule.min_gap",
        "must be shorter: step-1 is due 10s after step-0; it would wait beyond its max_lateness and never be sent",
    ),
    ({"schedule": {"on_ambiguous": "ask"}}, "schedule.on_ambiguous", "should be 'resend' or 'skip'"),
    ({"schedule": {"max_attempts": 0}}, "schedule.max_attempts", "should be greater than or equal to 1"),
    (
        {"schedule": {"retention": "3d 12h"}},
        "schedule.retention",
        "must be longer than the 3d 12h that the last step may take, or checkouts would be deleted before their last"
        " reminder",
    ),
    ({"schedule": {"lease": "39s 999ms"}}, "schedule.lease", "must be at least 40s, twice smtp.timeout"),
    (
        {"smtp": {"chunking": True}, "schedule": {"on_ambiguous": "skip"}},
        "smtp.chunking",
        "must be false with schedule.on_ambiguous = skip: it leaves more mails in doubt, and skip sends none",
    ),
    ({"smtp": {"timeout": "31s"}}, "schedule.lease", "must be at least 1m 2s, twice smtp.timeout"),
    ({"confirmation": {"template": "../x"}}, "confirmation.template", "must be the name of a template"),
    (
        {"http": {"host": "0.0.0.0"}},
        "http.host",
        "must be a loopback address such as 127.0.0.1 without http.keys and http.api_keys, or anyone could"
        " report orders and read addresses",
    ),
    ({"http": {"api_keys": ["a b"]}}, "http.api_keys[0]", "must be printable ASCII without spaces"),
    ({"http": {"api_keys": [""]}}, "http.api_keys[0]", "must be at least 16 characters"),
    ({"http": {"host": ""}}, "http.host", "must be a host name or an IP address, without a port"),
    ({"http": {"host": "::"}}, "http.host", "must be a loopback address such as 127.0.0.1"),
    ({"http": {"host": "recovery.example"}}, "http.host", "must be a loopback address such as 127.0.0.1"),
    ({"http": {"api_keys": ["hunter2"]}}, "http.api_keys[0]", "must be at least 16 characters"),
    ({"http": {"keys": [{"name": "a", "secret": "hunter2"}]}}, "http.keys[0].secret", "must be at least 16 characters"),
    ({"http": {"keys": [{"name": "a"}]}}, "http.keys[0].secret", "is required"),
    ({"http": {"keys": [{"name": "a b", "secret": SECRET}]}}, "http.keys[0].name", "must be up to 50 letters"),
    (
        {"http": {"keys": [{"name": "a", "secret": SECRET, "scopes": ["all"]}]}},
        "http.keys[0].scopes[0]",
        "should be 'report', 'read', 'operate' or 'privacy'",
    ),
    ({"http": {"keys": [{"name": "a", "secret": SECRET, "scopes": []}]}}, "http.keys[0].scopes", "must have at least"),
    ({"http": {"keys": [{"name": "a", "secret_file": "nowhere"}]}}, "http.keys[0]", "secret_file: cannot read nowhere"),
    ({"http": {"keys": [{"name": "a", "secret_file": 7}]}}, "http.keys[0]", "secret_file: must be a file name"),
    (
        {"http": {"keys": [{"name": "a", "secret": SECRET}] * 2}},
        "http.keys",
        "must not have two keys with the same name: a",
    ),
    (
        {"http": {"keys": [{"name": name, "secret": SECRET} for name in "ab"]}},
        "http.keys",
        "must not have two keys with the same secret: a and b",
    ),
    (
        {"links": {"base_url": "https://mail.shop.example"}},
        "links.keys",
        "is required with links.base_url: without it, anyone could forge an unsubscribe link",
    ),
    ({"links": {"keys": [SECRET]}}, "links.base_url", "is required with links.keys"),
    (
        {"links": {"base_url": "https://mail.shop.example", "keys": ["hunter2"]}},
        "links.keys[0]",
        "must be at least 16 characters",
    ),
    *(
        ({"links": {"base_url": url, "keys": [SECRET]}}, "links.base_url", fault)
        for url, fault in {
            "http://mail.shop.example": "must be an https:// URL; http:// is allowed for loopback addresses only",
            "mail.shop.example": "must be an https:// URL",
            "https://": "must be an https:// URL",
            "https://mail.shop.example/a b": "must be an https:// URL",
            "https://mail.shop.example/?a=b": "must be a URL with at most a path",
            "https://me@mail.shop.example": "must be a URL with at most a path",
        }.items()
    ),
    ({"links": {"parameters": ["utm_source"]}}, "links.parameters[0]", "must have the form name=value"),
    ({"links": {"parameters": ["a=b&c=d"]}}, "links.parameters[0]", "must have the form name=value"),
    ({"links": {"expire_after": "0s"}}, "links.expire_after", "must be longer than 0s"),
    ({"suppressions": {"keys": [""]}}, "suppressions.keys[0]", "must be at least 16 characters"),
    ({"bounces": {"secrets": ["short"]}}, "bounces.secrets[0]", "must be at least 16 characters"),
    *(
        (
            {**LINKED, "bounces": {"return_path": address}},
            "bounces.return_path",
            "must be an e-mail address like bounces@",
        )
        for address in ("bounces", "bounces-of-all@shop.example", "a+b@shop.example", "a@shop", "<a@shop.example>")
    ),
    (
        {"bounces": {"return_path": "bounces@bounce.shop.example"}},
        "links.keys",
        "is required with bounces.return_path: without it, anyone could forge a bounce",
    ),
    ({"daemon": {"name": "a b"}}, "daemon.name", "must be up to 100 letters, digits, . _ : or -"),
    ({"daemon": {"heartbeat": "4s"}}, "daemon.heartbeat_expiry", "must be at least 12s, three times daemon.heartbeat"),
    ({"daemon": {"hand_over_within": "1s"}}, "daemon.hand_over_within", "must be shorter than 1s"),
    ({"daemon": {"in_flight": 0}}, "daemon.in_flight", "should be greater than or equal to 1"),
    ({"log": {"format": "xml"}}, "log.format", "should be 'auto', 'json' or 'text'"),
]


class TestRules:
    """An invalid value stops the start with a sentence."""

    @pytest.mark.parametrize(("given", "name", "fault"), RULES)
    def test_sentences(self, given, name, fault):
        """An invalid setting is rejected with one sentence that has both of its names."""
        [problem] = refused(**given)
        variable = "RECOVERY_" + re.sub(r"\[.*", "", name).replace(".", "__").upper()
        assert problem.startswith(
            (f"{name} ({variable}): {fault}", f"{name} ({variable}, given as an argument): {fault}")
        )

    @pytest.mark.parametrize(
        "given",
        [
            {"http": {"host": "::1"}},
            {"http": {"host": "127.1.2.3"}},
            {"http": {"host": "LocalHost"}},
            {"http": {"host": "0.0.0.0", "api_keys": [SECRET]}},
            {"http": {"host": "0.0.0.0", "keys": [{"name": "a", "secret": SECRET}]}},
            {"http": {"host": "0.0.0.0", "enabled": False}},
            {"http": {"port": 0}},
            {"smtp": {"username": "shop", "password": SECRET}},
            {"smtp": {"username": "shop", "password": SECRET, "host": "mail.example.com", "tls": "starttls"}},
            {"smtp": {"local_hostname": "[192.0.2.1]"}},
            {"mail": {"sender": "shop@intranet", "reply_to": "", "message_id_domain": "lämpchen.example"}},
            {"schedule": {"steps": []}},
            {"schedule": {"steps": steps("10s", "20s", "30s"), "min_gap": "0s"}},
            {"schedule": {"retention": "3d 12h 1ms", "lease": "40s"}},
            LINKED,
            {
                "links": {
                    "base_url": "http://127.0.0.1:8080",
                    "keys": [SECRET],
                    "parameters": "utm_source=x,step={step}",
                }
            },
            {**LINKED, "bounces": {"return_path": "bouncesback@bounce.shop.example"}},
            {"daemon": {"heartbeat": "3s", "heartbeat_expiry": "9s", "hand_over_within": "999ms"}},
        ],
    )
    def test_allowed(self, given):
        """Valid values are accepted."""
        load_settings(**given)

    @pytest.mark.parametrize(
        ("section", "key"), [("smtp", "username"), ("smtp", "ca_file"), ("mail", "templates"), ("daemon", "name")]
    )
    def test_empty_text_is_nothing(self, section, key):
        """An empty text means not set, for optional settings."""
        assert getattr(getattr(load_settings(**{section: {key: ""}}), section), key) is None

    @pytest.mark.parametrize(
        "name", ["Lämpchen & Söhne", '"Lämpchen & Söhne"', "Shop, Ltd.", 'The "Lamp" Shop', "Lamp\u00a0Shop"]
    )
    def test_names_of_shops(self, name):
        """A shop's name may have any characters, with quotes around it or without."""
        written = f"{name} <shop@example.com>"
        assert load_settings(mail={"sender": written}).mail.sender == written

    def test_where_from(self, config, environ, tmp_path):
        """The sentence says where the invalid value comes from."""
        config("[smtp]\nport = 0")
        (tmp_path / "secret").write_text("x y")
        environ(RECOVERY_DAEMON__IN_FLIGHT="0", RECOVERY_HTTP__API_KEYS_FILE="secret")
        assert [re.findall(r"\(.*?\)", problem)[0] for problem in refused()] == [
            "(RECOVERY_SMTP__PORT, set in config/recovery.toml)",
            "(RECOVERY_HTTP__API_KEYS, read from its file)",
            "(RECOVERY_DAEMON__IN_FLIGHT, set in the environment)",
        ]


class TestSchedule:
    """The schedule built from settings."""

    def test_default(self):
        """The default reminders are due after 30 minutes, a day and three days, each with its own max_lateness."""
        schedule = load_settings().to_schedule()
        hours = timedelta(hours=1)
        assert [(step.name, step.delay, step.template, step.max_lateness) for step in schedule.steps] == [
            ("reminder-1", hours / 2, "reminder-1", 23.5 * hours / 2),
            ("reminder-2", 24 * hours, "reminder-2", 12 * hours),
            ("reminder-3", 72 * hours, "reminder-3", 12 * hours),
        ]
        assert schedule.confirmation == Step(CONFIRMATION, timedelta(), "confirmation", None, 24 * hours)
        assert schedule == Schedule(
            steps=schedule.steps,
            confirmation=schedule.confirmation,
            min_gap=6 * hours,
            min_gap_per_address=12 * hours,
            quiet_hours=None,
            time_zone="UTC",
            require_consent=False,
            stop_on=StopOn.CHECKOUT,
            on_ambiguous=OnAmbiguous.RESEND,
            max_attempts=5,
            retry_after=hours / 12,
            lease=hours / 60,
            retention=30 * 24 * hours,
        )

    def test_as_set(self):
        """Every setting arrives in the schedule, and steps are sorted by delay."""
        late = {"name": "late", "delay": "2h", "template": "t", "subject": "{{ x }}", "max_lateness": "5m"}
        schedule = load_settings(
            schedule={
                "steps": [late, *steps("1h")],
                "min_gap": "1h 1s",
                "min_gap_per_address": "2h",
                "quiet_hours": "21:00 - 08:30",
                "time_zone": "Europe/Berlin",
                "require_consent": True,
                "stop_on": "customer",
                "on_ambiguous": "skip",
                "max_attempts": 2,
                "retry_after": "7m",
                "lease": "90s",
                "retention": "9d",
            },
            confirmation={"enabled": False},
        ).to_schedule()
        assert schedule == Schedule(
            steps=(
                Step("step-0", timedelta(hours=1), "step-0", "Hello", timedelta(minutes=30)),
                Step("late", timedelta(hours=2), "t", "{{ x }}", timedelta(minutes=5)),
            ),
            confirmation=None,
            min_gap=timedelta(hours=1, seconds=1),
            min_gap_per_address=timedelta(hours=2),
            quiet_hours=QuietHours(time(21), time(8, 30)),
            time_zone="Europe/Berlin",
            require_consent=True,
            stop_on=StopOn.CUSTOMER,
            on_ambiguous=OnAmbiguous.SKIP,
            max_attempts=2,
            retry_after=timedelta(minutes=7),
            lease=timedelta(seconds=90),
            retention=timedelta(days=9),
        )

    def test_nothing_late(self):
        """A max_lateness of zero is kept."""
        [step] = load_settings(schedule={"steps": [{**steps("1h")[0], "max_lateness": "0s"}]}).to_schedule().steps
        assert step.max_lateness == timedelta()
