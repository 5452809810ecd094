"""Settings from the environment and `config/recovery.toml`. No other room reads either."""

from recovery.settings.durations import Duration, format_duration, parse_duration
from recovery.settings.loading import Settings, load_settings
from recovery.settings.reference import document
from recovery.settings.sources import SettingsError

__all__ = ["Duration", "Settings", "SettingsError", "document", "format_duration", "load_settings", "parse_duration"]
