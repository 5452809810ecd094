"""The only reader of the environment and of `config/recovery.toml`."""

from recovery.settings.durations import Duration, format_duration, parse_duration
from recovery.settings.loading import Settings, load_settings
from recovery.settings.reference import document
from recovery.settings.sources import SettingsError

__all__ = ["Duration", "Settings", "SettingsError", "document", "format_duration", "load_settings", "parse_duration"]
