"""The sections that say where things are, who may do what, and how the daemon keeps time."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from recovery.settings.durations import Duration, PositiveDuration, format_duration
from recovery.settings.fields import (
    Domain,
    ExistingFile,
    ExistingFolder,
    Host,
    Mailbox,
    Maybe,
    Section,
    broken,
    from_lines,
    is_loopback,
    like,
    setting,
)
from recovery.settings.keys import Keys, KeySecrets

Port = Annotated[int, Field(ge=1, le=65535)]
OwnName = Annotated[str, like(r"[A-Za-z0-9_.:\[\]-]{1,255}", "must be a host name, or an address in []")]
ListId = Annotated[
    str,
    like(
        r"[^<>\x00-\x1f\x7f]{0,200}<(?=[^>]{3,255}>)[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)+>",
        "must be like Shop <reminders.shop.example>",
    ),
]
Recipient = Annotated[str, like(r"[^\s@,]*@[^\s@,]+", "must be an address, or a domain as in @example.com")]
DaemonName = Annotated[str, like(r"[A-Za-z0-9_.:-]{1,100}", "must be up to 100 letters, digits, . _ : or -")]


def _mongodb_uri(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("must begin with mongodb:// or mongodb+srv://")
    return value


class MongoDBSettings(Section):
    """Where checkouts are kept. A replica set, even of one node: change streams need it."""

    uri: Annotated[SecretStr, AfterValidator(_mongodb_uri)] = setting(
        "mongodb://127.0.0.1:27017/?replicaSet=rs0",
        "The address of the database, a secret since it may hold a password. By default a replica set on this machine.",
    )
    database: Annotated[str, like(r"[A-Za-z0-9_-]{1,63}", "must be up to 63 letters, digits, _ or -")] = setting(
        "recovery", "The name of the database. One for each installation that is to know nothing of the others."
    )


class SmtpSettings(Section):
    """The relay that takes the mails."""

    host: Host = setting("127.0.0.1", "The name or address of the relay. By default one on this machine.")
    port: Port = setting(
        1025,
        "Its port. 1025 is where test inboxes such as Mailpit listen, so that a forgotten setting writes to no real"
        " person. Relays take mail at 587 (starttls), 465 (implicit) or 25 (none, in one's own network).",
    )
    tls: Literal["none", "starttls", "implicit"] = setting(
        "none",
        "How the connection is encrypted: none, starttls or implicit. Never a matter of luck: with starttls, a relay"
        " that does not offer it is refused. none fits a relay on this machine; choose another for any other.",
    )
    username: Maybe[str] = setting(None, "The name to log in with. Empty: no log-in.")
    password: Maybe[SecretStr] = setting(None, "The password to log in with.")
    ca_file: Maybe[ExistingFile] = setting(
        None, "A file of PEM certificates to trust the relay by. Empty: those that the system trusts."
    )
    connections: int = setting(
        20,
        "How many connections are kept at the most. Ten to twenty carry all that one daemon can write to a near relay"
        " (measured: over 4,000 messages a second); a far one takes more, as far as it allows.",
        ge=1,
        le=1000,
    )
    messages_per_connection: int = setting(
        100,
        "After how many messages a connection is made anew. Relays end long sessions, some large ones after about 350.",
        ge=1,
    )
    idle: PositiveDuration = setting(
        "30s",
        "After how long without use a connection is closed. A relay that has hung up in the meantime is noticed only by"
        " the next message, and most wait for minutes before they do.",
    )
    timeout: PositiveDuration = setting(
        "20s",
        "How long the relay may take to be reached, and then to answer to sender and recipient. Relays that look up"
        " either take seconds; one that takes longer is given up for that message.",
    )
    dot_timeout: PositiveDuration = setting(
        "10m",
        "How long the relay may take for its answer after the content. Whoever stops waiting sends a mail twice that"
        " was taken: 10 minutes is what RFC 5321 section 4.5.3.2.6 asks for. Meanwhile the message stays claimed.",
    )
    local_hostname: OwnName = setting(
        "localhost",
        "What this host calls itself (EHLO). Fixed, since asking the DNS for it may take seconds at every connection."
        " A relay on the internet may want this host's public name here.",
    )

    @model_validator(mode="after")
    def _credentials_are_whole_and_safe(self) -> Self:
        if (self.username is None) != (self.password is None):
            given, missing = ("password", "username") if self.username is None else ("username", "password")
            raise broken(f"must be given where smtp.{given} is", missing)
        if self.password is not None and self.tls == "none" and not is_loopback(self.host):
            raise broken("must be starttls or implicit, or the password would cross the network in the clear", "tls")
        return self


class MailSettings(Section):
    """What the mails say of the shop."""

    sender: Mailbox = setting(
        "Shop <shop@shop.example>",
        "Whom mails are from, with a name that customers know. The default is an address that cannot exist (RFC 2606):"
        " put the shop's own, in a domain whose SPF and DKIM allow the relay.",
    )
    reply_to: Maybe[Mailbox] = setting(None, "Where answers go. Empty: to the sender.")
    message_id_domain: Maybe[Domain] = setting(
        None, "The domain in Message-IDs, which must be one's own for them to be unique. Empty: the sender's."
    )
    list_id: Maybe[ListId] = setting(
        None,
        'What mail programs know the reminders by (RFC 2919), as in "Shop <reminders.shop.example>". It should not'
        " change when the sender does. Empty: made of the sender's name and domain.",
    )
    test_recipients: Annotated[tuple[Recipient, ...], BeforeValidator(from_lines)] = setting(
        (),
        "Who may get a test by recovery send-test: addresses, or whole domains as in @example.com. None by default, so"
        " that no test goes to a customer by mistake. In the environment: parted by commas, or JSON.",
    )
    templates: Maybe[ExistingFolder] = setting(
        None, "A folder of mail templates. What it does not have is taken from those that come with Recovery."
    )


class HttpSettings(Section):
    """The HTTP API, webhooks, health checks and metrics."""

    enabled: bool = setting(True, "Whether the daemon serves HTTP. Turn it off if all services report from Python.")
    host: Host = setting(
        "127.0.0.1",
        "The address to listen at. 127.0.0.1 is this machine only; any other, such as 0.0.0.0 in a container, is"
        " refused unless there are keys or api_keys.",
    )
    port: int = setting(8080, "The port to listen at; 0 takes any that is free.", ge=0, le=65535)
    api_keys: KeySecrets = setting(
        (),
        "The bearer keys that callers may show for everything, so that a key can be changed while the old one still"
        " serves. In the environment: separated by commas, or JSON; in a file: one on a line. At least 16 characters,"
        " long and random: say openssl rand -hex 32.",
    )
    keys: Keys = setting(
        (),
        "Keys that may be used for some things, or at some shops, only: tables [[http.keys]] with name, secret or"
        " secret_file, scopes (of report, read, operate, privacy; left out: all) and shops (left out: all). In the"
        " environment, or in the file that RECOVERY_HTTP__KEYS_FILE names: JSON. docs/http.md shows how.",
    )
    max_body: int = setting(
        262_144,
        "How long a request may be, in bytes. 256 KiB hold a checkout of 200 items, the most there may be, with"
        " their links; without a bound, a caller could fill the memory.",
        ge=1024,
    )

    @model_validator(mode="after")
    def _strangers_need_a_key(self) -> Self:
        if self.enabled and not self.api_keys and not self.keys and not is_loopback(self.host):
            raise broken(
                "must be a loopback address such as 127.0.0.1 while there are neither http.keys nor http.api_keys, or"
                " anybody could report orders and read addresses",
                "host",
            )
        return self


class ShopifySettings(Section):
    """Webhooks from Shopify."""

    webhook_secret: Maybe[SecretStr] = setting(
        None, "The secret that Shopify signs its webhooks with. Empty: there is no such endpoint, since none is safe."
    )
    confirm_orders: bool = setting(
        False,
        "Whether orders that Shopify tells of are confirmed by a mail of ours, where confirmations are on. Off, since"
        " Shopify confirms them itself.",
    )


def _under_a_second(value: timedelta) -> timedelta:
    if value >= timedelta(seconds=1):
        raise ValueError("must be shorter than 1s: later than that after an order, nobody may be reminded")
    return value


class DaemonSettings(Section):
    """How the daemon keeps time and company."""

    name: Maybe[DaemonName] = setting(
        None, "What this daemon is called among others; no two may share a name. Empty: the name of the host."
    )
    expirer: bool = setting(
        True,
        "Whether this daemon may delete shadows at the moment they are due. Without it, MongoDB's own TTL does, which"
        " looks once a minute.",
    )
    sweep_interval: PositiveDuration = setting(
        "30s",
        "How often it is checked that nothing due was overlooked. That is how late a reminder may be when every"
        " notification fails; the check costs one indexed query.",
    )
    sweep_grace: Duration = setting(
        "5s",
        "How long something must be due before the sweep takes it for overlooked, so that it does not race with the"
        " notification.",
    )
    heartbeat: PositiveDuration = setting(
        "2s", "How often a daemon tells the others that it lives. One small write each time."
    )
    heartbeat_expiry: PositiveDuration = setting(
        "10s",
        "After how long without a heartbeat a daemon is taken for dead and its share of checkouts goes to the others."
        " At least three heartbeats, so that one that is late does not move shares about.",
    )
    in_flight: int = setting(
        500,
        "How many messages are claimed and not yet recorded at the most; fewer while the relay is slow. What is due"
        " beyond stays in the database, so that memory is bounded.",
        ge=1,
        le=10_000,
    )
    hand_over_within: Annotated[PositiveDuration, AfterValidator(_under_a_second)] = setting(
        "500ms",
        "How long a claimed message may wait for a connection before it goes back, and how old what is known of it may"
        " be when its content goes out; else the database is asked again. Under 1s: it keeps the promise that nobody is"
        " reminded later than one second after the order.",
    )
    stop_grace: PositiveDuration = setting(
        "8s",
        "How long messages that are with the relay may take to end when the daemon is told to stop. Container engines"
        " kill after 10 s.",
    )

    @model_validator(mode="after")
    def _survives_a_late_heartbeat(self) -> Self:
        if self.heartbeat_expiry < 3 * self.heartbeat:
            least = format_duration(3 * self.heartbeat)
            raise broken(f"must be at least {least}, three times daemon.heartbeat", "heartbeat_expiry")
        return self


class LogSettings(Section):
    """What is written to standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "The least level that is logged: debug, info, warning or error. info tells of every message once."
    )
    format: Literal["auto", "json", "text"] = setting(
        "auto", "json for machines, text for people; auto is text on a terminal and json elsewhere."
    )
