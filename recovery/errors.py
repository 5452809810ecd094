"""The errors whose message is for people: what failed, why, and what to do. The command line shows the message alone.

RecoveryError
├── Unavailable          the database cannot be asked now: call again later
│   └── Refused          the database refuses this: the same call may never succeed
│       └── NotAllowed   the database user lacks a right                     (recovery.mongo.collections)
├── BadAddress           the address of the database is not one
├── BadOutbox            the file of the outbox cannot be used
├── Damaged              a kept checkout cannot be read
├── SettingsError        a setting is missing or wrong                       (recovery.settings)
├── TemplateError        a template cannot be compiled or filled             (recovery.mail.templates)
├── RenderError          a mail cannot be made                               (recovery.mail.composer)
├── CannotStart          the daemon cannot do its work as things are         (recovery.app)
├── CannotListen         the HTTP port cannot be opened                      (recovery.http.server)
├── CommandError         a command cannot do what it was asked               (recovery.cli)
│   └── NotConfirmed     a person must confirm, and there is no terminal to ask on
├── NoMongod             there is no mongod to start                         (recovery.testing)
└── DemoFailed           the demo cannot go on                               (recovery.demo)

Exceptions that never leave their room, such as those of a connection, are defined there and do not stand here.
"""


class RecoveryError(Exception):
    """The root of all errors whose message is for people."""


class Unavailable(RecoveryError):
    """The database cannot be reached in time, or refuses: nothing is known to be kept. Calling again is safe."""


class Refused(Unavailable):
    """The database answers, and refuses for a reason that is not known to pass, as a validator does: it is not kept."""


class BadAddress(RecoveryError):
    """What was given as the address of the database is neither a MongoDB URI nor a client."""


class BadOutbox(RecoveryError):
    """What was given as the outbox cannot be used as one; the message says why."""


class Damaged(RecoveryError):
    """A kept checkout was changed by another hand so that it cannot be read any more; the message names the field."""
