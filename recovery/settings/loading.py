"""The settings as a whole: read in order of precedence, validated, or rejected with a sentence for each fault."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from recovery.domain.experiments import Experiments
from recovery.domain.schedule import OnAmbiguous, Schedule
from recovery.domain.warmup import Warmup
from recovery.settings.brand import BrandSettings
from recovery.settings.console import ConsoleSettings
from recovery.settings.dkim import DkimSettings
from recovery.settings.durations import format_duration
from recovery.settings.experiments import (
    ExperimentSettings,
    ExperimentTables,
    ResultsSettings,
    experiments_of,
    unknown_steps,
    unsendable,
)
from recovery.settings.feedback import BouncesSettings, LinksSettings, ProvidersSettings, SuppressionsSettings
from recovery.settings.fields import Section, rule_violation
from recovery.settings.keys import KeySettings
from recovery.settings.names import Setting, settings_of, suggestion
from recovery.settings.receivers import ReceiversSettings
from recovery.settings.reminders import ConfirmationSettings, ScheduleSettings, StepSettings, schedule_of
from recovery.settings.sections import (
    DaemonSettings,
    HttpSettings,
    LogSettings,
    MailSettings,
    MongoDBSettings,
    ShopifySettings,
    SmtpSettings,
)
from recovery.settings.shops import Shops
from recovery.settings.sources import SettingsError, Source, environment, sources, unknown, with_secrets
from recovery.settings.warmup import WarmupSettings, warmup_of
from recovery.settings.webhooks import WebhooksSettings


class Settings(BaseSettings):
    """All settings. Precedence: arguments, environment, files with secrets, configuration file, defaults.

    `load_settings` reads them and reports faults in sentences; creating one directly raises pydantic's
    `ValidationError`. `shops` holds the overrides of single shops, by shop and section, as given; `of()` returns the
    settings that result for a shop. `experiments` are tables by name.
    """

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    mongodb: MongoDBSettings = MongoDBSettings()
    smtp: SmtpSettings = SmtpSettings()
    warmup: WarmupSettings = WarmupSettings()
    receivers: ReceiversSettings = ReceiversSettings()
    mail: MailSettings = MailSettings()
    brand: BrandSettings = BrandSettings()
    dkim: DkimSettings = DkimSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    confirmation: ConfirmationSettings = ConfirmationSettings()
    http: HttpSettings = HttpSettings()
    console: ConsoleSettings = ConsoleSettings()
    shopify: ShopifySettings = ShopifySettings()
    webhooks: WebhooksSettings = WebhooksSettings()
    links: LinksSettings = LinksSettings()
    suppressions: SuppressionsSettings = SuppressionsSettings()
    bounces: BouncesSettings = BouncesSettings()
    providers: ProvidersSettings = ProvidersSettings()
    results: ResultsSettings = ResultsSettings()
    daemon: DaemonSettings = DaemonSettings()
    log: LogSettings = LogSettings()

    experiments: ExperimentTables = Field({})
    shops: Shops = Field({}, repr=False)  # as given: a shop's secrets are plain text here
    _of: dict[str, "Settings"] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class passes it by name
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources of the settings, highest precedence first."""
        found = sources(environment(), settings_of(cls))
        return init_settings, *(InitSettingsSource(settings_cls, source.values) for source in found)

    @model_validator(mode="after")
    def _lease_is_longer_than_smtp_timeout(self) -> Self:
        if self.schedule.lease < 2 * self.smtp.timeout:
            least = format_duration(2 * self.smtp.timeout)
            raise rule_violation(f"must be at least {least}, twice smtp.timeout", "schedule", "lease")
        return self

    @model_validator(mode="after")
    def _what_is_in_doubt_is_sent_again_with_chunking(self) -> Self:
        if self.smtp.chunking and self.schedule.on_ambiguous is OnAmbiguous.SKIP:
            raise rule_violation(
                "must be false with schedule.on_ambiguous = skip: it leaves more mails in doubt, and skip sends none",
                "smtp",
                "chunking",
            )
        return self

    @model_validator(mode="after")
    def _return_path_has_keys(self) -> Self:
        if self.bounces.return_path is not None and not self.links.keys:
            raise rule_violation(
                "is required with bounces.return_path: without it, anyone could forge a bounce", "links", "keys"
            )
        return self

    @model_validator(mode="after")
    def _experiments_can_be_run(self) -> Self:
        if self.experiments and not self.suppressions.keys:
            raise rule_violation(
                "is required with experiments: a keyed hash of the address decides who is held out, the same for ever",
                "suppressions",
                "keys",
            )
        steps = [step.name for step in self.schedule.steps]
        for name, step in unknown_steps(self.experiments, steps):
            raise rule_violation(
                f"has no step {step} in the schedule; there are {', '.join(steps) or 'none'}",
                "experiments",
                name,
                "templates",
            )
        return self

    def of(self, shop: str) -> "Settings":
        """Return the settings of a shop: its own overrides, and the common settings for everything else."""
        return self._of.get(shop, self)

    def each(self) -> "list[Settings]":
        """Return the common settings, and those of each shop with overrides."""
        return [self, *self._of.values()]

    def with_shops(self, shops: Mapping[str, "Settings"]) -> Self:
        """Add the settings of single shops, for `of` and `each`; return self."""
        self._of.update(shops)
        return self

    def to_schedule(self) -> Schedule:
        """Return the schedule for `decide`."""
        schedule = schedule_of(self.schedule, self.confirmation)
        if not self.experiments:
            return schedule
        return replace(schedule, experiments=self.to_experiments())

    def to_experiments(self) -> Experiments:
        """Return the experiments of all shops."""
        return experiments_of(self.experiments, self.suppressions.keys, self.mail.test_recipients)

    def to_warmup(self) -> Warmup | None:
        """Return the warm-up of the sending address, or None without one."""
        return warmup_of(self.warmup)


def load_settings(**overrides: Mapping[str, Any]) -> Settings:
    """Return the settings; `overrides` win over all other sources: `load_settings(smtp={"port": 2525})`.

    Raises `SettingsError`, with a sentence for each fault.
    """
    settings = settings_of(Settings)
    variables = environment()
    problems = unknown(variables, settings)
    loaded = None
    try:
        loaded = Settings(**overrides)  # type: ignore[arg-type]
    except SettingsError as exc:
        problems += exc.problems
    except ValidationError as exc:
        given = [Source("given as an argument", dict(overrides)), *sources(variables, settings)]
        problems += [sentence(error, settings, given) for error in exc.errors()]
    # Raised outside of the handler, so that no exception that holds a value is chained to this one.
    if problems or loaded is None:
        raise SettingsError(problems)
    shops, problems = of_shops(loaded, overrides, settings)
    if problems:
        raise SettingsError(problems)
    return loaded.with_shops(shops)


def of_shops(
    loaded: Settings, overrides: Mapping[str, Mapping[str, Any]], known: Sequence[Setting]
) -> tuple[dict[str, Settings], list[str]]:
    """Return the settings of each shop with overrides, and a sentence for each fault in them and between them."""
    made: dict[str, Settings] = {}
    problems: list[str] = []
    for shop, given in loaded.shops.items():
        for_all = {name: section for name, section in overrides.items() if name != "shops"}
        try:
            own = with_secrets(given, known, f"shops.{shop}.")
            merged = {name: {**for_all.get(name, {}), **own.get(name, {})} for name in {*for_all, *own}}
            made[shop] = type(loaded)(**merged)  # type: ignore[arg-type]
        except SettingsError as exc:
            problems += exc.problems
        except ValidationError as exc:
            origins = [Source(f"set for the shop {shop}", own)]
            problems += [f"shops.{shop}: {sentence(error, known, origins)}" for error in exc.errors()]
    schedules = {"": loaded.schedule, **{shop: own.schedule for shop, own in made.items()}}
    return made, [*problems, *unsendable(loaded.experiments, schedules)]


def sentence(error: ErrorDetails, settings: Sequence[Setting], given: Sequence[Source]) -> str:
    """Return the error message for a fault: both names of the setting, the source of its value, the fault."""
    path = error["loc"]
    name = _dotted(path)
    setting = next((s for s in settings if path[:2] == (s.section, s.key)), None)
    origin = next((source.origin for source in given if _holds(source.values, path)), None)
    if error["type"] == "extra_forbidden":
        files = [f"{setting.name}_file" for setting in settings if setting.secret]
        return f"{name}: unknown setting{suggestion(name, [*_neighbours(path, settings), *files])} ({origin})"
    notes = [setting.variable] if setting else []
    notes += [origin] if origin else []
    return f"{name} ({', '.join(notes)}): {_fault(error)}" if notes else f"{name}: {_fault(error)}"


def _neighbours(path: Sequence[int | str], settings: Sequence[Setting]) -> list[str]:
    """Return the valid names at the depth of an unknown name, to suggest one of them."""
    match len(path):
        case 1:
            return list(Settings.model_fields)
        case 2:
            return [setting.name for setting in settings]
        case _:  # tables within sections
            models: dict[Any, type[Section]] = {"http": KeySettings, "experiments": ExperimentSettings}
            model = StepSettings if len(path) > 4 else models.get(path[0], StepSettings)  # steps of an experiment
            fields = model.model_fields
            return [_dotted([*path[:-1], field.alias or key]) for key, field in fields.items()]


def _dotted(path: Sequence[int | str]) -> str:
    named = (part for part in path if part != "[key]")  # added by pydantic if the fault is in a key, not in its value
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in named).removeprefix(".")


def _holds(values: Any, path: Sequence[int | str]) -> bool:
    for part in path[:2]:
        if not isinstance(values, Mapping) or part not in values:
            return False
        values = values[part]
    return True


def _fault(error: ErrorDetails) -> str:
    match error["type"]:
        case "value_error":
            return str(error["ctx"]["error"])
        case "model_type":
            return "must be a table of settings"
        case "tuple_type":
            return "must be a list"
        case "missing":
            return "is required"
        case _:
            return error["msg"].removeprefix("Input ")
