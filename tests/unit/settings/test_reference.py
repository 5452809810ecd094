"""Every setting is documented."""

import re
import tomllib

from recovery.settings import Settings, document, load_settings
from recovery.settings.names import settings_of
from recovery.settings.reference import TABLES
from tests.support.paths import ROOT
from tests.support.settings_files import SECRET, refused


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
        sections = [section for name, section in load_settings() if name not in TABLES]
        assert all(section.model_fields_set == set(type(section).model_fields) for section in sections)

    def test_every_setting_has_its_reason(self):
        """Every setting has a description."""
        for name, section in Settings.model_fields.items():
            for key, field in () if name in TABLES else section.annotation.model_fields.items():
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
        (variables,) = re.findall(r"```sh\n(RECOVERY_.*?)```", guide, re.DOTALL)
        environ(variables.splitlines()[0])
        assert [key.name for key in load_settings().http.keys] == ["shop-backend"]


def sorted_like_settings(given):
    """Return all settings in the order of the file: by section, steps last in theirs."""
    listed = [(s.section, s.key) for s in settings_of(Settings)]
    return sorted(listed, key=lambda name: (list(given).index(name[0]), name[1] == "steps"))
