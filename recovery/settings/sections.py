"""The sections on MongoDB, SMTP, mails, HTTP, Shopify, the daemon and logs."""

from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from recovery.domain.hosts import is_loopback
from recovery.settings.durations import Duration, PositiveDuration, format_duration
from recovery.settings.fields import (
    Domain,
    ExistingFile,
    ExistingFolder,
    Host,
    LimitedRate,
    ListId,
    Mailbox,
    Maybe,
    Section,
    from_lines,
    like,
    rule_violation,
    setting,
)
from recovery.settings.keys import Keys, KeySecrets

Port = Annotated[int, Field(ge=1, le=65535)]
OwnName = Annotated[str, like(r"[A-Za-z0-9_.:\[\]-]{1,255}", "must be a host name, or an IP address in []")]
Recipient = Annotated[str, like(r"[^\s@,]*@[^\s@,]+", "must be an e-mail address, or a domain such as @example.com")]
DaemonName = Annotated[str, like(r"[A-Za-z0-9_.:-]{1,100}", "must be up to 100 letters, digits, . _ : or -")]


def _mongodb_uri(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("must begin with mongodb:// or mongodb+srv://")
    return value


class MongoDBSettings(Section):
    """The database. It must be a replica set, even if of one node: change streams need one."""

    uri: Annotated[SecretStr, AfterValidator(_mongodb_uri)] = setting(
        "mongodb://127.0.0.1:27017/?replicaSet=rs0",
        "The connection string; a secret, because it may contain a password. Default: a replica set on this machine.",
    )
    database: Annotated[str, like(r"[A-Za-z0-9_-]{1,63}", "must be up to 63 letters, digits, _ or -")] = setting(
        "recovery", "The name of the database. Independent installations need databases of their own."
    )


class SmtpSettings(Section):
    """The SMTP relay that mails are sent through."""

    host: Host = setting("127.0.0.1", "The host name or IP address of the relay. Default: this machine.")
    port: Port = setting(
        1025,
        "The port of the relay. The default is that of test inboxes such as Mailpit, so that a forgotten setting sends"
        " no mail to a real person. Relays use 587 (starttls), 465 (implicit) or 25 (none, in your own network).",
    )
    tls: Literal["none", "starttls", "implicit"] = setting(
        "none",
        "The encryption of the connection: none, starttls or implicit. Required, never opportunistic: with starttls, a"
        " relay that does not offer STARTTLS is refused. Use none only for a relay on this machine.",
    )
    username: Maybe[str] = setting(None, "The user name for authentication. Empty: no authentication.")
    password: Maybe[SecretStr] = setting(None, "The password for authentication.")
    ca_file: Maybe[ExistingFile] = setting(
        None, "A PEM file of certificates to verify the relay with. Empty: the system's trusted certificates."
    )
    connections: int = setting(
        20,
        "The maximum number of connections. Ten to twenty are enough for all that one daemon sends to a nearby relay"
        " (measured: some 1,100 messages per second); a distant relay needs more, as far as it allows them.",
        ge=1,
        le=1000,
    )
    messages_per_connection: int = setting(
        100,
        "The number of messages after which a connection is replaced. Relays end long sessions, Amazon SES after 350"
        " messages; one that ends them sooner costs a connection and no message. docs/mail.md says what relays allow.",
        ge=1,
    )
    chunking: bool = setting(
        False,
        "Whether mails go out in chunks, with BDAT (RFC 3030), where the relay offers CHUNKING: in one packet with the"
        " announcement if it offers PIPELINING too. Off by default: it saves a round trip for mails that do not wait"
        " for each other, and leaves more mails in doubt when a line is lost; some relays have had faults in it. Not"
        " with schedule.on_ambiguous = skip, where a mail in doubt is not sent.",
    )
    rate: Annotated[tuple[LimitedRate, ...], BeforeValidator(from_lines)] = setting(
        (),
        "The rates that the relay allows, all of which hold: 14/s, 30/min, 200/h, 2000/d. All daemons share them, and"
        " they are kept over a restart. What is beyond them is late, not failed; confirmations go before reminders."
        " Empty: as many as it takes; where it throttles, the daemon finds its rate by itself. In the environment:"
        " separated by commas, or JSON.",
    )
    idle: PositiveDuration = setting(
        "30s",
        "The idle time after which a connection is closed. Most relays close idle connections after minutes, and only"
        " the next message would notice.",
    )
    timeout: PositiveDuration = setting(
        "20s",
        "The time limit for connecting, and then for the relay's answers to sender and recipient. Relays that look up"
        " either take seconds; after the limit, the attempt to send that message is given up.",
    )
    dot_timeout: PositiveDuration = setting(
        "10m",
        "The time limit for the relay's answer after the content. A client that stops waiting sends an accepted mail"
        " again: RFC 5321 section 4.5.3.2.6 asks for 10 minutes. Meanwhile the message stays claimed.",
    )
    local_hostname: OwnName = setting(
        "localhost",
        "The name of this host in EHLO. It is fixed because a DNS lookup may take seconds per connection. A relay on"
        " the internet may require this host's public name.",
    )

    @model_validator(mode="after")
    def _credentials_are_whole_and_safe(self) -> Self:
        if (self.username is None) != (self.password is None):
            given, missing = ("password", "username") if self.username is None else ("username", "password")
            raise rule_violation(f"is required with smtp.{given}", missing)
        if self.password is not None and self.tls == "none" and not is_loopback(self.host):
            raise rule_violation("must be starttls or implicit, or the password is sent unencrypted", "tls")
        return self


class MailSettings(Section):
    """The headers and templates of mails."""

    sender: Mailbox = setting(
        "Shop <shop@shop.example>",
        "The From address of mails, with a name that customers know. The default cannot exist (RFC 2606): use the"
        " shop's own address, in a domain whose SPF and DKIM authorise the relay.",
    )
    reply_to: Maybe[Mailbox] = setting(None, "The Reply-To address. Empty: replies go to the sender.")
    message_id_domain: Maybe[Domain] = setting(
        None, "The domain in Message-IDs. It must be your own, so that they are unique. Empty: the sender's domain."
    )
    list_id: Maybe[ListId] = setting(
        None,
        'The List-Id of reminders (RFC 2919), by which mail programs sort, such as "Shop <reminders.shop.example>". It'
        " should stay the same when the sender changes. Empty: built from the sender's name and domain.",
    )
    test_recipients: Annotated[tuple[Recipient, ...], BeforeValidator(from_lines)] = setting(
        (),
        "The allowed recipients of recovery send-test: addresses, or whole domains such as @example.com. None by"
        " default, so that no test goes to a customer by mistake. In the environment: separated by commas, or JSON.",
    )
    templates: Maybe[ExistingFolder] = setting(
        None, "A folder of mail templates. For files that it lacks, those that come with Recovery are used."
    )


class HttpSettings(Section):
    """The HTTP API, webhooks, health checks and metrics."""

    enabled: bool = setting(True, "Whether the daemon serves HTTP. Turn this off if all services report from Python.")
    host: Host = setting(
        "127.0.0.1",
        "The address to listen on. 127.0.0.1 is reachable from this machine only; any other address, such as 0.0.0.0"
        " in a container, requires keys or api_keys.",
    )
    port: int = setting(8080, "The port to listen on; 0: any free port.", ge=0, le=65535)
    api_keys: KeySecrets = setting(
        (),
        "Bearer keys with all scopes at all shops. Several, so that a key can be rotated while the old one still works."
        " In the environment: separated by commas, or JSON; in a file: one per line. At least 16 characters, random:"
        " create one with openssl rand -hex 32.",
    )
    keys: Keys = setting(
        (),
        "Keys limited to some scopes or shops: tables [[http.keys]] with name, secret or secret_file, scopes (of"
        " report, read, operate, privacy; default: all) and shops (default: all). In the environment, or in the file"
        " named by RECOVERY_HTTP__KEYS_FILE: JSON. See docs/http.md.",
    )
    max_body: int = setting(
        262_144,
        "The maximum size of a request body, in bytes. 256 KiB hold a checkout with 200 items, the maximum, and their"
        " links; without a limit, a caller could exhaust the memory.",
        ge=1024,
    )

    @model_validator(mode="after")
    def _strangers_need_a_key(self) -> Self:
        if self.enabled and not self.api_keys and not self.keys and not is_loopback(self.host):
            raise rule_violation(
                "must be a loopback address such as 127.0.0.1 without http.keys and http.api_keys, or anyone could"
                " report orders and read addresses",
                "host",
            )
        return self


class ShopifySettings(Section):
    """Webhooks from Shopify."""

    webhook_secret: Annotated[tuple[SecretStr, ...], BeforeValidator(from_lines)] = setting(
        (),
        "The secret that signs Shopify's webhooks, or several while it is changed. Empty: the endpoint is off, because"
        " it would not be safe. In the environment: separated by commas, or JSON; in a file: one per line.",
    )
    confirm_orders: bool = setting(
        False,
        "Whether Recovery also confirms orders that Shopify reports, if confirmations are enabled. Off by default:"
        " Shopify confirms them itself.",
    )


def _under_a_second(value: timedelta) -> timedelta:
    if value >= timedelta(seconds=1):
        raise ValueError("must be shorter than 1s: no reminder may be sent more than 1s after the order")
    return value


class DaemonSettings(Section):
    """The daemon: its name, intervals and limits."""

    name: Maybe[DaemonName] = setting(
        None, "The name of this daemon, unique among all daemons on the database. Empty: the host name."
    )
    expirer: bool = setting(
        True,
        "Whether this daemon may be elected to delete shadows at the moment they expire, and loads what is due in its"
        " share a quarter of a second ahead. Without an expirer, MongoDB's TTL monitor deletes them, which runs once a"
        " minute.",
    )
    sweep_interval: PositiveDuration = setting(
        "30s",
        "The time between two sweeps, each of which looks for overdue checkouts that no notification reported. That is"
        " how late a reminder may be if all notifications fail. A sweep costs one indexed query.",
    )
    sweep_grace: Duration = setting(
        "5s",
        "How long a checkout must be overdue before the sweep handles it, so that it does not race with the"
        " notification.",
    )
    heartbeat: PositiveDuration = setting(
        "2s", "The time between two heartbeats, which tell the other daemons that this one is alive. One small write."
    )
    heartbeat_expiry: PositiveDuration = setting(
        "10s",
        "The time without a heartbeat after which a daemon is presumed dead and its share of the checkouts goes to the"
        " others. At least three heartbeats, so that a late one does not move shares.",
    )
    in_flight: int = setting(
        500,
        "The maximum number of messages that are claimed and not yet recorded; fewer while the relay is slow. All"
        " others stay in the database, so that memory is bounded.",
        ge=1,
        le=10_000,
    )
    hand_over_within: Annotated[PositiveDuration, AfterValidator(_under_a_second)] = setting(
        "500ms",
        "How long a claimed message may wait for a connection before the claim is given back, and how old the last"
        " check for an order may be when the content goes out; if older, the database is asked again. Under 1s, to keep"
        " the promise that no reminder is sent more than one second after the order.",
    )
    stop_grace: PositiveDuration = setting(
        "8s",
        "How long a stopping daemon waits for messages that it is sending. Container engines kill after 10 s.",
    )

    @model_validator(mode="after")
    def _survives_a_late_heartbeat(self) -> Self:
        if self.heartbeat_expiry < 3 * self.heartbeat:
            least = format_duration(3 * self.heartbeat)
            raise rule_violation(f"must be at least {least}, three times daemon.heartbeat", "heartbeat_expiry")
        return self


class LogSettings(Section):
    """The log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = setting(
        "info",
        "The minimum level of log lines: debug, info, warning or error. debug adds lines for each message sent.",
    )
    format: Literal["auto", "json", "text"] = setting(
        "auto", "json for machines, text for people; auto: text on a terminal, json elsewhere."
    )
