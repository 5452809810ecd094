"""What a call to Recovery can fail with."""


class RecoveryError(Exception):
    """Whatever a call to Recovery can fail with.

    RecoveryError
    ├── Unavailable       the database could not be asked to keep this: call again later
    │   └── Refused       the database refuses just this: calling again gives the same
    ├── BadAddress        the address of the database is not one
    ├── BadOutbox         the file of the outbox cannot be used
    └── Damaged           what is kept cannot be read
    """


class Unavailable(RecoveryError):
    """The database cannot be reached in time, or refuses: nothing is known to be kept. Calling again is safe."""


class Refused(Unavailable):
    """The database is well and refuses just this write, as a validator does. It is not kept, nor will it be."""


class BadAddress(RecoveryError):
    """What was given as the address of the database is neither a MongoDB URI nor a client."""


class BadOutbox(RecoveryError):
    """What was given as the outbox cannot be used as one; the message says why."""


class Damaged(RecoveryError):
    """A kept checkout was changed by another hand so that it cannot be read any more; the message names the field."""
