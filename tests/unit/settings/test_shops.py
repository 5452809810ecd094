"""Settings of several shops."""

from datetime import time, timedelta

import pytest

from recovery.domain.quiet_hours import QuietHours
from recovery.settings import load_settings
from tests.support.settings_files import refused

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
