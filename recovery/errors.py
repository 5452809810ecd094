"""The errors with a message for people: what failed, why, what to do. The command line shows only the message.

RecoveryError
├── Unavailable          the database is temporarily unavailable: call again later
│   └── Refused          the database refuses the write: a retry may never succeed
│       └── NotAllowed   the database user lacks a right                     (recovery.mongo.collections)
├── BadAddress           invalid MongoDB URI or client
├── BadOutbox            the file of the outbox cannot be used
├── Damaged              a stored checkout cannot be read
├── NotPossible          what an operator asked for does not fit the checkout as it is (recovery.domain.operations)
├── SettingsError        a setting is missing or invalid                     (recovery.settings)
├── TemplateError        a template cannot be compiled or filled             (recovery.mail.templates)
├── RenderError          a mail cannot be made                               (recovery.mail.composer)
├── CannotStart          the daemon cannot do its work as things are         (recovery.app)
├── NotATestRecipient    an address may get no test mails                    (recovery.console.mail_tests)
├── CannotListen         the HTTP port cannot be opened                      (recovery.http.server)
├── CannotFetch          a file of another service cannot be fetched          (recovery.http.fetching)
├── CommandError         a command cannot do what it was asked               (recovery.cli)
│   └── NotConfirmed     a person must confirm, and there is no terminal to ask on
├── NoMongod             there is no mongod to start                         (recovery.testing)
└── DemoFailed           the demo cannot go on                               (recovery.demo)

Exceptions that never leave their package, such as those of a connection, are defined there and not listed here.
"""


class RecoveryError(Exception):
    """The base class of all errors with a message for people."""


class Unavailable(RecoveryError):
    """The database did not acknowledge in time, or refused: a write may not be stored. Calls are idempotent: retry."""


class Refused(Unavailable):
    """The database refuses for a reason that is not known to be temporary, such as a validator: nothing was stored."""


class BadAddress(RecoveryError):
    """Invalid address of the database: neither a MongoDB URI nor a suitable client."""


class BadOutbox(RecoveryError):
    """The outbox cannot be opened or its limit is invalid; the message says why."""


class Damaged(RecoveryError):
    """A stored checkout cannot be read, because it was edited by hand; the message names the field."""
