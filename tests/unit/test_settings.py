"""Settings: sources, validation errors, and the documents generated from them or about them."""

import json
import os
import re
import tomllib
from datetime import time, timedelta
from pathlib import Path

import pytest

from recovery.domain.quiet_hours import QuietHours
from recovery.domain.schedule import CONFIRMATION, OnAmbiguous, Schedule, Step, StopOn
from recovery.settings import Settings, SettingsError, document, load_settings
from recovery.settings.names import settings_of

ROOT = Path(__file__).parents[2]
SECRET = "hunter2-and-more"
ONE, TWO = "first-of-two-keys", "second-of-two-keys"


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """The developer's own settings do not leak into tests."""
    for name in os.environ:
        if name.upper().startswith("RECOVERY_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def environ(monkeypatch):
    """Set variables, by name or as NAME=value lines."""

    def set_(lines="", **variables):
        for name, value in [line.split("=", 1) for line in lines.splitlines()] + list(variables.items()):
            monkeypatch.setenv(name, value)

    return set_


@pytest.fixture
def config(tmp_path):
    """Write the default configuration file."""

    def write(text):
        path = tmp_path / "config" / "recovery.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    return write


def refused(**overrides):
    """Return the sentences of the `SettingsError`."""
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    assert str(caught.value) == "\n".join(caught.value.problems)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return list(caught.value.problems)


def steps(*delays):
    return [{"name": f"step-{i}", "delay": delay, "subject": "Hello"} for i, delay in enumerate(delays)]


class TestPrecedence:
    """Precedence of the sources."""

    def test_defaults_stand_alone(self):
        """Without file, environment and arguments, the defaults are valid settings."""
        assert load_settings() == Settings()
        assert load_settings().smtp.port == 1025

    def test_file_over_default(self, config):
        """The configuration file below the working directory wins over the defaults, key by key."""
        config("[smtp]\nport = 2525")
        assert load_settings().smtp.port == 2525
        assert load_settings().smtp.host == "127.0.0.1"

    def test_secret_file_over_file(self, config, environ, tmp_path):
        """A file with a secret wins over the configuration file."""
        config('[shopify]\nwebhook_secret = "from the toml"')
        (tmp_path / "secret").write_text(SECRET)
        environ(RECOVERY_SHOPIFY__WEBHOOK_SECRET_FILE="secret")
        assert load_settings().shopify.webhook_secret.get_secret_value() == SECRET

    def test_environment_over_secret_file(self, environ, tmp_path):
        """A variable wins over the file with the secret."""
        (tmp_path / "secret").write_text("from the file")
        environ(RECOVERY_SHOPIFY__WEBHOOK_SECRET=SECRET, RECOVERY_SHOPIFY__WEBHOOK_SECRET_FILE="secret")
        assert load_settings().shopify.webhook_secret.get_secret_value() == SECRET

    def test_environment_over_file(self, config, environ):
        """The environment wins over the configuration file and leaves the rest of the section as it is."""
        config('[smtp]\nport = 2525\nhost = "mail.example.com"')
        environ(RECOVERY_SMTP__PORT="587")
        assert (load_settings().smtp.host, load_settings().smtp.port) == ("mail.example.com", 587)

    def test_arguments_over_environment(self, environ):
        """Arguments win over all, and leave the rest of the section as it is."""
        environ(RECOVERY_SMTP__PORT="587", RECOVERY_SMTP__HOST="mail.example.com")
        smtp = load_settings(smtp={"port": 2525}).smtp
        assert (smtp.host, smtp.port) == ("mail.example.com", 2525)

    def test_named_file(self, config, environ, tmp_path):
        """RECOVERY_CONFIG names the configuration file; the default one is then not read."""
        config("[smtp]\nport = 2525")
        (tmp_path / "other.toml").write_text('[smtp]\nhost = "mail.example.com"')
        environ(RECOVERY_CONFIG="other.toml")
        smtp = load_settings().smtp
        assert (smtp.host, smtp.port) == ("mail.example.com", 1025)

    def test_empty_variable(self, config, environ):
        """An empty variable counts as not set."""
        config("[smtp]\nport = 2525")
        environ(RECOVERY_SMTP__PORT="", RECOVERY_CONFIG="", RECOVERY_SMTP__PASSWORD_FILE="")
        assert load_settings().smtp.port == 2525

    def test_steps_from_the_environment(self, environ):
        """Steps given as JSON replace the list as a whole."""
        environ(RECOVERY_SCHEDULE__STEPS=json.dumps(steps("1h")), RECOVERY_SCHEDULE__MIN_GAP="30m")
        assert [step.name for step in load_settings().schedule.steps] == ["step-0"]

    def test_switches(self, environ):
        """Booleans are read from text."""
        environ(RECOVERY_HTTP__ENABLED="false", RECOVERY_DAEMON__EXPIRER="no")
        loaded = load_settings()
        assert not loaded.http.enabled
        assert not loaded.daemon.expirer


class TestSecrets:
    """Secrets may come from files, and are never shown."""

    def test_line_end_is_no_part(self, environ, tmp_path):
        """The line end at the end of a secret's file is not part of the secret; spaces are."""
        (tmp_path / "secret").write_text(f" {SECRET}\r\n")
        environ(RECOVERY_SMTP__PASSWORD_FILE="secret", RECOVERY_SMTP__USERNAME="shop")
        assert load_settings().smtp.password.get_secret_value() == f" {SECRET}"

    @pytest.mark.parametrize("given", [f"{ONE},{TWO}", f" {ONE} , {TWO} ,", f"{ONE}\n{TWO}\n", f'["{ONE}", "{TWO}"]'])
    def test_keys(self, environ, given, tmp_path):
        """API keys are a list separated by commas or lines, or JSON, both in a variable and in a file."""
        (tmp_path / "keys").write_text(given)
        environ(RECOVERY_HTTP__API_KEYS=given)
        from_variable = load_settings().http.api_keys
        environ(RECOVERY_HTTP__API_KEYS="", RECOVERY_HTTP__API_KEYS_FILE="keys")
        assert load_settings().http.api_keys == from_variable
        assert [key.get_secret_value() for key in from_variable] == [ONE, TWO]

    def test_keys_with_scopes(self, environ, config, tmp_path):
        """Keys are tables in the file, JSON in the environment, and a secret may be in a file of its own."""
        (tmp_path / "secret").write_text(f"{SECRET}\n")
        told = {"name": "backend", "scopes": ["report", "read"], "shops": ["lamps.example"]}
        config(
            '[[http.keys]]\nname = "backend"\nsecret_file = "secret"\n'
            'scopes = ["report", "read"]\nshops = ["lamps.example"]'
        )
        [from_tables] = load_settings().http.keys
        environ(RECOVERY_HTTP__KEYS=json.dumps([{**told, "secret": SECRET}]))
        assert load_settings().http.keys == (from_tables,)
        (tmp_path / "keys").write_text(json.dumps([{**told, "secret_file": "secret"}]))
        environ(RECOVERY_HTTP__KEYS="", RECOVERY_HTTP__KEYS_FILE="keys")
        assert load_settings().http.keys == (from_tables,)
        assert from_tables.secret.get_secret_value() == SECRET
        assert from_tables.shops == ("lamps.example",)

    @pytest.mark.parametrize("given", [",", " , ", "  ", ",\n"])
    def test_keys_that_are_none(self, environ, given):
        """A list with only commas and spaces is an error, not an empty list."""
        environ(RECOVERY_HTTP__API_KEYS=given)
        assert refused() == [
            "http.api_keys (RECOVERY_HTTP__API_KEYS, set in the environment): must have at least one value: it"
            " holds only commas and spaces"
        ]

    def test_every_secret_may_be_in_a_file_that_the_configuration_names(self, config, tmp_path):
        """A key that ends in `_file` names the file with the secret, in every section with secrets."""
        (tmp_path / "secret").write_text(f"{SECRET}\n")
        (tmp_path / "uri").write_text("mongodb://u:p@db.example/\n")
        config(
            '[mongodb]\nuri_file = "uri"\n[smtp]\nusername = "shop"\npassword_file = "secret"\n'
            '[http]\napi_keys_file = "secret"\n[shopify]\nwebhook_secret_file = "secret"\n'
            '[links]\nbase_url = "https://mail.shop.example"\nkeys_file = "secret"\n'
            '[suppressions]\nkeys_file = "secret"\n[bounces]\nsecrets_file = "secret"\n'
        )
        loaded = load_settings()
        assert loaded.mongodb.uri.get_secret_value() == "mongodb://u:p@db.example/"
        single = [loaded.smtp.password, loaded.shopify.webhook_secret]
        lists = [loaded.http.api_keys, loaded.links.keys, loaded.suppressions.keys, loaded.bounces.secrets]
        read = [*single, *(key for keys in lists for key in keys)]
        assert [secret.get_secret_value() for secret in read] == [SECRET] * 6

    def test_a_secret_and_its_file_in_the_configuration(self, config, tmp_path):
        """A secret given both ways is an error, for shops too; the error does not show it."""
        (tmp_path / "secret").write_text(SECRET)
        both = f'username = "u"\npassword = "{SECRET}"\npassword_file = "secret"\n'
        config(f"[smtp]\n{both}")
        assert refused() == ["smtp.password_file: must not be set together with smtp.password: remove one of them"]
        config(f"[shops.lamps.smtp]\n{both}")
        assert refused() == [
            "shops.lamps.smtp.password_file: must not be set together with shops.lamps.smtp.password: remove one of"
            " them"
        ]

    @pytest.mark.parametrize(
        ("given", "fault"),
        [
            ('"nowhere"', "cannot read nowhere: No such file or directory"),
            ("7", "must be a file name"),
            (f'"{"x" * 5_000}"', f"cannot read {'x' * 200}…: File name too long"),
        ],
    )
    def test_a_secret_s_file_that_cannot_be_read(self, config, given, fault):
        """The error names the key of the configuration file and the fault."""
        config(f"[smtp]\npassword_file = {given}")
        assert refused() == [f"smtp.password_file: {fault}"]

    def test_a_slip_in_the_name_of_a_secret_s_file(self, config):
        """The error suggests the closest name, as for any other setting."""
        config('[smtp]\npasswrd_file = "secret"')
        assert "did you mean smtp.password_file?" in refused()[0]

    def test_missing_files(self, environ):
        """The error has a sentence for each secret file that cannot be read."""
        environ(RECOVERY_SMTP__PASSWORD_FILE="nowhere", RECOVERY_MONGODB__URI_FILE="nowhere")
        assert refused() == [
            "mongodb.uri (RECOVERY_MONGODB__URI_FILE): cannot read nowhere: No such file or directory",
            "smtp.password (RECOVERY_SMTP__PASSWORD_FILE): cannot read nowhere: No such file or directory",
        ]

    @pytest.mark.parametrize(("content", "fault"), [(b"\n", "it is empty"), (b"\xff", "it is not UTF-8 text")])
    def test_useless_files(self, environ, tmp_path, content, fault):
        """A secret file that is empty or not text is rejected."""
        (tmp_path / "secret").write_bytes(content)
        environ(RECOVERY_SMTP__PASSWORD_FILE="secret")
        assert refused() == [f"smtp.password (RECOVERY_SMTP__PASSWORD_FILE): cannot read secret: {fault}"]

    def test_only_secrets_have_files(self, environ):
        """A setting that is not a secret is not read from a file."""
        environ(RECOVERY_SMTP__PORT_FILE="port")
        [problem] = refused()
        assert problem.startswith("RECOVERY_SMTP__PORT_FILE: unknown setting")

    def test_never_shown(self, environ):
        """The repr and the dump of settings show no secret."""
        environ(
            RECOVERY_MONGODB__URI=f"mongodb://u:{SECRET}@db.example.com/",
            RECOVERY_SMTP__PASSWORD=SECRET,
            RECOVERY_SMTP__USERNAME="shop",
            RECOVERY_HTTP__API_KEYS=f"{SECRET},{SECRET}",
            RECOVERY_HTTP__KEYS=json.dumps([{"name": "a", "secret": SECRET}]),
            RECOVERY_SHOPIFY__WEBHOOK_SECRET=SECRET,
            RECOVERY_LINKS__BASE_URL="https://mail.shop.example",
            RECOVERY_LINKS__KEYS=SECRET,
            RECOVERY_SUPPRESSIONS__KEYS=SECRET,
            RECOVERY_BOUNCES__SECRETS=SECRET,
        )
        loaded = load_settings()
        assert SECRET not in repr(loaded) + str(loaded) + loaded.model_dump_json()

    @pytest.mark.parametrize("given", [SECRET, f'["{SECRET}"', f'["{SECRET} "]', f"[[{SECRET!r}]]", f'[["{SECRET}"]]'])
    def test_never_told_in_errors(self, environ, given):
        """No error shows an invalid secret, nor does pydantic's exception."""
        environ(RECOVERY_MONGODB__URI=given, RECOVERY_HTTP__API_KEYS=given)
        assert SECRET not in "".join(refused(shopify={"webhook_secret": [SECRET]}, smtp={"password": {"x": SECRET}}))
        with pytest.raises(ValueError, match="mongodb") as caught:
            Settings()
        assert SECRET not in str(caught.value)


class TestNames:
    """Unknown names are errors."""

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("RECOVERY_SMTP_PORT", "; did you mean RECOVERY_SMTP__PORT?"),
            ("RECOVERY_SMTP__PROT", "; did you mean RECOVERY_SMTP__PORT?"),
            ("RECOVERY_MONGODB_URI", "; did you mean RECOVERY_MONGODB__URI?"),
            ("RECOVERY_CONFG", "; did you mean RECOVERY_CONFIG?"),
            ("RECOVERY_SMTP__PASSWORD_FIEL", "; did you mean RECOVERY_SMTP__PASSWORD_FILE?"),
            ("recovery_smtp", ""),
            ("RECOVERY_QQQQQQQQQQQQQQQQQQQQ", ""),
        ],
    )
    def test_unknown_variable(self, environ, name, meant):
        """An unknown variable with our prefix is rejected, with the closest name."""
        environ(**{name: "7"})
        [problem] = refused()
        assert problem.startswith(f"{name.upper()}: unknown setting")
        assert meant in problem

    def test_any_case(self, environ):
        """Variable names are case-insensitive, since one in lower case would otherwise be ignored in silence."""
        environ(recovery_smtp__port="587")
        assert load_settings().smtp.port == 587

    def test_kubernetes(self, environ):
        """Kubernetes' variables for services whose names start like ours are neither settings nor errors."""
        environ(
            "RECOVERY_SERVICE_HOST=10.0.0.1\nRECOVERY_SERVICE_PORT=8080\nRECOVERY_SERVICE_PORT_HTTP=8080\n"
            "RECOVERY_PORT=tcp://10.0.0.1:8080\nRECOVERY_PORT_8080_TCP=tcp://10.0.0.1:8080\n"
            "RECOVERY_PORT_8080_TCP_PROTO=tcp\nRECOVERY_PORT_8080_TCP_PORT=8080\nRECOVERY_PORT_8080_TCP_ADDR=10.0.0.1\n"
            "RECOVERY_API_SERVICE_HOST=10.0.0.2\nRECOVERY_API_PORT=tcp://10.0.0.2:80"
        )
        assert load_settings() == Settings()

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("[smtp]\nprot = 1", "smtp.prot: unknown setting; did you mean smtp.port?"),
            ("[stmp]\nport = 1", "stmp: unknown setting; did you mean smtp?"),
            (
                '[[schedule.steps]]\nname = "a"\ndelay = "1h"\nsubjct = ""\nsubject = "b"',
                "schedule.steps[0].subjct: unknown setting; did you mean schedule.steps[0].subject?",
            ),
        ],
    )
    def test_unknown_key(self, config, text, problem):
        """An unknown key in the configuration file is rejected, with the closest name."""
        config(text)
        assert refused() == [f"{problem} (set in config/recovery.toml)"]

    def test_all_at_once(self, environ):
        """Unknown names and invalid values are reported together."""
        environ(RECOVERY_SMTP_PORT="587", RECOVERY_SMTP__PORT="x", RECOVERY_LOG__LEVEL="loud")
        assert [problem.split(" ")[0] for problem in refused()] == ["RECOVERY_SMTP_PORT:", "smtp.port", "log.level"]


class TestConfigFile:
    """A configuration file that cannot be read is rejected."""

    def test_named_but_missing(self, environ):
        """A missing configuration file stops the start if it was named."""
        environ(RECOVERY_CONFIG="nowhere.toml")
        assert refused() == [
            "the configuration file nowhere.toml (RECOVERY_CONFIG) cannot be read: No such file or directory"
        ]

    def test_endless_name(self, environ):
        """The error for an impossible file name shows only its beginning."""
        environ(RECOVERY_CONFIG="x" * 5_000)
        [problem] = refused()
        assert problem.endswith("… (RECOVERY_CONFIG) cannot be read: File name too long")
        assert len(problem) < 300

    def test_not_toml(self, config):
        """A configuration file that is not TOML is rejected with line and column."""
        config("[smtp]\nport 1")
        [problem] = refused()
        assert problem.startswith("the configuration file config/recovery.toml (RECOVERY_CONFIG) is not TOML: ")
        assert "line 2, column" in problem

    def test_not_text(self, tmp_path, config):
        """A configuration file that is not UTF-8 is rejected."""
        config("")
        (tmp_path / "config" / "recovery.toml").write_bytes(b'[smtp]\nhost = "\xff"')
        assert refused()[0].endswith("cannot be read: it is not UTF-8 text")

    def test_not_a_table(self, config):
        """A section that is not a table is rejected by name."""
        config("smtp = 25")
        assert refused() == ["smtp (set in config/recovery.toml): must be a table of settings"]


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
    ({"smtp": {"timeout": "0s"}}, "smtp.timeout", "must be longer than 0s"),
    ({"smtp": {"local_hostname": "a\r\nb"}}, "smtp.local_hostname", "must be a host name, or an IP address in []"),
    ({"mail": {"sender": "Shop"}}, "mail.sender", "must be an e-mail address like Shop <shop@example.com>"),
    ({"mail": {"sender": "A <a@example.com>\r\nBcc: b@example.com"}}, "mail.sender", "must be an e-mail address like"),
    ({"mail": {"sender": "läden@example.com"}}, "mail.sender", "must be an e-mail address like"),
    ({"mail": {"reply_to": "a@b@c"}}, "mail.reply_to", "must be an e-mail address like Shop <shop@example.com>"),
    ({"mail": {"message_id_domain": "a b"}}, "mail.message_id_domain", "must be a domain like example.com"),
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
    ({"smtp": {"timeout": "31s"}}, "schedule.lease", "must be at least 1m 2s, twice smtp.timeout"),
    ({"confirmation": {"template": "../x"}}, "confirmation.template", "must be the name of a template"),
    (
        {"http": {"host": "0.0.0.0"}},
        "http.host",
        "must be a loopback address such as 127.0.0.1 without http.keys and http.api_keys, or anyone could"
        " report orders and read addresses",
    ),
    ({"http": {"api_keys": ["a b"]}}, "http.api_keys[0]", "must be printable ASCII without spaces"),
    ({"http": {"api_keys": [""]}}, "http.api_keys[0]", "must be printable ASCII without spaces"),
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
            {"http": {"host": "localhost"}},
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

    @pytest.mark.parametrize("name", ["Lämpchen & Söhne", '"Lämpchen & Söhne"', "Shop, Ltd."])
    def test_names_of_shops(self, name):
        """A shop's name may have any characters; missing quotes for the header are added."""
        sender = load_settings(mail={"sender": f"{name} <shop@example.com>"}).mail.sender
        assert sender == f'"{name.strip(chr(34))}" <shop@example.com>'

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
        assert schedule == Schedule(schedule.steps, schedule.confirmation)

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


LAMPS = """
[mail]
sender = "All <all@shop.example>"
reply_to = "help@shop.example"

[shops."lamps.example".mail]
sender = "Lamps <shop@lamps.example>"

[shops."lamps.example".schedule]
quiet_hours = "21:00-08:00"
"""


class TestShops:
    """Overrides for single shops."""

    def test_a_shop_inherits_what_it_does_not_name(self, config, environ):
        """A shop's value in the file wins over the environment; everything else comes from the common settings."""
        config(LAMPS)
        environ(RECOVERY_MAIL__SENDER="Env <env@shop.example>", RECOVERY_SCHEDULE__MIN_GAP="1h")
        settings = load_settings(schedule={"time_zone": "Europe/Berlin"})
        lamps = settings.of("lamps.example")
        assert (lamps.mail.sender, lamps.mail.reply_to) == ("Lamps <shop@lamps.example>", "help@shop.example")
        assert lamps.to_schedule().quiet_hours == QuietHours(time(21), time(8))
        assert (lamps.schedule.min_gap, lamps.schedule.time_zone) == (timedelta(hours=1), "Europe/Berlin")
        assert settings.of("other.example") is settings
        assert (settings.mail.sender, settings.schedule.quiet_hours) == ("Env <env@shop.example>", None)

    def test_a_secret_of_a_shop_may_be_in_a_file(self, config, tmp_path):
        """A key that ends in `_file` names the file with a shop's secret."""
        (tmp_path / "secret").write_text("hush\n")
        named = f'password_file = "{tmp_path / "secret"}"'
        config(f'[shops.lamps.smtp]\nhost = "127.0.0.1"\nusername = "u"\n{named}\n')
        assert load_settings().of("lamps").smtp.password.get_secret_value() == "hush"
        (tmp_path / "secret").unlink()
        assert "shops.lamps.smtp.password_file: cannot read" in refused()[0]

    def test_no_secret_is_shown(self, config):
        """The repr of settings holds no secret, not even a shop's own: error trackers print it."""
        config(
            '[smtp]\npassword = "hush-1"\nusername = "u"\n[shops.lamps.smtp]\npassword = "hush-2"\nusername = "u"\n'
            '[shops.lamps.shopify]\nwebhook_secret = "hush-3"\n[links]\nbase_url = "https://a.example"\n'
            'keys = ["hush-4-hush-4-hush-4"]\n'
        )
        settings = load_settings()
        assert settings.shops["lamps"]["smtp"]["password"] == "hush-2"
        assert not [each for each in (settings, *settings.each()) if "hush" in f"{each!r} {each}"]

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ('[shops.lamps.mail]\nsender = "nobody"', "shops.lamps: mail.sender"),
            ('[shops.lamps.mail]\nsnder = "nobody"', "unknown setting; did you mean mail.sender?"),
            ('[shops.lamps.smtp]\ntimeout = "2m"', "shops.lamps: schedule.lease"),
            ('[shops.lamps.mongodb]\nuri = "mongodb://x"', "lamps.mongodb cannot be set for a single shop"),
            (
                '[shops."a/b".mail]\nsender = "s@shop.example"',
                "shops.a/b (set in config/recovery.toml): must be the name of a shop as in its reports: up to 100"
                " characters, without spaces and slashes",
            ),
            ("shops = 3", "shops"),
            ('[shops."Lamps.example".shopify]\nwebhook_secret = "x"', "must be in lower case, lamps.example"),
            ('[shops."Lamps.myshopify.com".mail]\nreply_to = ""', "must be in lower case, lamps.myshopify.com"),
            ("[shops]\nlamps = 3", "shops.lamps"),
        ],
    )
    def test_what_is_wrong_is_told_with_the_shop(self, config, text, told):
        """Each fault names the shop and the setting."""
        config(text)
        [problem] = refused()
        assert told in problem


class TestDocuments:
    """The documents about settings are up to date."""

    def test_file_is_up_to_date(self):
        """config/recovery.toml is the generated reference."""
        assert (ROOT / "config/recovery.toml").read_text() == document()

    def test_file_sets_nothing(self, config):
        """config/recovery.toml loads, and sets nothing."""
        config(document())
        assert not any(tomllib.loads(document()).values())
        assert load_settings() == Settings()

    def test_file_tells_every_default(self, config, tmp_path):
        """With every line of config/recovery.toml uncommented, all settings are set, to their defaults."""
        text = re.sub(r"^#(?=\S)", "", document(), flags=re.MULTILINE)
        given = tomllib.loads(text)
        assert [(section, key) for section in given for key in given[section]] == sorted_like_settings(given)
        config(text)
        assert load_settings() == Settings()
        sections = [section for name, section in load_settings() if name != "shops"]
        assert all(section.model_fields_set == set(type(section).model_fields) for section in sections)

    def test_every_setting_has_its_reason(self):
        """Every setting has a description."""
        for name, section in Settings.model_fields.items():
            for key, field in () if name == "shops" else section.annotation.model_fields.items():
                assert field.description, key

    def test_guide(self, environ, config, monkeypatch):
        """Every example of docs/settings.md works: its settings load, and its errors are the real ones."""
        guide = (ROOT / "docs/settings.md").read_text()
        blocks = re.findall(r"```(\w+)\n(.*?)```", guide, re.DOTALL)
        assert [kind for kind, _ in blocks] == ["sh", "toml", "sh", "toml", "sh", "sh", "text"]
        for kind, text in blocks[:4]:
            (environ if kind == "sh" else config)(text)
            load_settings()
        secrets = {setting.file_variable for setting in settings_of(Settings) if setting.secret}
        assert {line.split("=")[0] for line in blocks[4][1].splitlines()} == secrets
        for setting in settings_of(Settings):
            monkeypatch.delenv(setting.variable, raising=False)
        environ(blocks[5][1])
        assert refused() == blocks[6][1].splitlines()

    def test_guide_to_the_api(self, config, environ, tmp_path):
        """The keys of docs/http.md load as they stand, in the file and in the environment."""
        guide = (ROOT / "docs/http.md").read_text()
        (in_the_file,) = re.findall(r"```toml\n(.*?)```", guide, re.DOTALL)
        for number, name in enumerate(re.findall(r"/run/secrets/([a-z-]+)", in_the_file)):
            (tmp_path / name).write_text(f"{SECRET}{number}\n")
        config(in_the_file.replace("/run/secrets", str(tmp_path)))
        backend, support = load_settings().http.keys
        assert (backend.scopes, backend.shops) == (("report", "read"), ("lamps.example",))
        assert (support.scopes, support.shops) == (("read", "operate", "privacy"), ())
        (variables,) = re.findall(r"```sh\n(.*?)```", guide, re.DOTALL)
        environ(variables.splitlines()[0])
        assert [key.name for key in load_settings().http.keys] == ["shop-backend"]


def sorted_like_settings(given):
    """Return all settings in the order of the file: by section, steps last in theirs."""
    listed = [(s.section, s.key) for s in settings_of(Settings)]
    return sorted(listed, key=lambda name: (list(given).index(name[0]), name[1] == "steps"))
