"""Settings from what is given alone: for the demo and for tests, which must not see anybody's own settings."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from recovery.settings.loading import Settings, of_shops, sentence
from recovery.settings.names import settings_of
from recovery.settings.sources import SettingsError, Source, config_file, environment, read_toml


class GivenSettings(Settings):
    """Settings from arguments alone: neither the environment nor a file is read."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the parent calls all of these by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the arguments as the only source."""
        return (init_settings,)


def given_settings(values: Mapping[str, Mapping[str, Any]], origin: str = "given as an argument") -> Settings:
    """Return the settings that these values make, in the shape of the configuration file, and nothing else.

    `origin` says in errors where they come from. Raises `SettingsError`, with a sentence for each fault.
    """
    known = settings_of(Settings)
    loaded, problems = None, []
    try:
        loaded = GivenSettings(**values)  # type: ignore[arg-type]
    except ValidationError as exc:
        problems = [sentence(error, known, [Source(origin, dict(values))]) for error in exc.errors()]
    # Raised outside of the handler, so that no exception that holds a value is chained to this one.
    if problems or loaded is None:
        raise SettingsError(problems)
    shops, problems = of_shops(loaded, values, known)
    if problems:
        raise SettingsError(problems)
    return loaded.with_shops(shops)


def values_in(path: Path, without: frozenset[str]) -> dict[str, Any]:
    """Return the values in a configuration file, without these sections and without any secret.

    Raises `SettingsError` for a file that cannot be read.
    """
    secret = {(each.section, each.key) for each in settings_of(Settings) if each.secret}

    def plain(tables: Mapping[str, Any]) -> dict[str, Any]:
        return {
            section: {key: each for key, each in table.items() if (section, key.removesuffix("_file")) not in secret}
            if isinstance(table, Mapping) and section != "shops"
            else table
            for section, table in tables.items()
            if section not in without
        }

    values = plain(read_toml(path))
    if isinstance(shops := values.get("shops"), Mapping):
        values["shops"] = {name: plain(own) if isinstance(own, Mapping) else own for name, own in shops.items()}
    return values


def path_of_config() -> Path | None:
    """Return the path of the configuration file that a daemon would read here, or None."""
    return config_file(environment())


def set_in(names: Collection[str]) -> list[str]:
    """Return where these settings are given, in the environment or the configuration file, as phrases for an error.

    Raises `SettingsError` for a file that cannot be read.
    """
    variables = environment()
    found = []
    for setting in settings_of(Settings):
        if setting.name in names:
            found += [name for name in (setting.variable, setting.file_variable) if variables.get(name)]
    path = config_file(variables)
    tables = {} if path is None else read_toml(path)
    for name in names:
        section, _, key = name.partition(".")
        table = tables.get(section)
        if isinstance(table, Mapping) and (table.get(key) or table.get(f"{key}_file")):
            found.append(f"{name} in {path}")
    return found
