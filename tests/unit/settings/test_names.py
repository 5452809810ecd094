"""Unknown names, and the configuration file."""

import pytest

from recovery.settings import Settings, load_settings
from tests.support.settings_files import refused


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
