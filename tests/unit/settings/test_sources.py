"""Sources of settings: precedence, environment, secrets in files."""

import json

import pytest

from recovery.settings import Settings, load_settings
from tests.support.settings_files import SECRET, refused, steps

ONE, TWO = "first-of-two-keys", "second-of-two-keys"


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
        assert [secret.get_secret_value() for secret in load_settings().shopify.webhook_secret] == [SECRET]

    def test_environment_over_secret_file(self, environ, tmp_path):
        """A variable wins over the file with the secret."""
        (tmp_path / "secret").write_text("from the file")
        environ(RECOVERY_SHOPIFY__WEBHOOK_SECRET=SECRET, RECOVERY_SHOPIFY__WEBHOOK_SECRET_FILE="secret")
        assert [secret.get_secret_value() for secret in load_settings().shopify.webhook_secret] == [SECRET]

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
        single = [loaded.smtp.password]
        lists = [
            loaded.shopify.webhook_secret,
            loaded.http.api_keys,
            loaded.links.keys,
            loaded.suppressions.keys,
            loaded.bounces.secrets,
        ]
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
        assert SECRET not in "".join(
            refused(shopify={"webhook_secret": {"x": SECRET}}, smtp={"password": {"x": SECRET}})
        )
        with pytest.raises(ValueError, match="mongodb") as caught:
            Settings()
        assert SECRET not in str(caught.value)
