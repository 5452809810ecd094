"""The document of each collection: every field with its BSON types and its meaning.

The validators (`recovery.mongo.collections`) and the tables of docs/architecture.md are made from this. Tests compare
with it the models, the names that this room spells, the indexes, and the documents that are stored.
"""

from recovery.domain.activity import Fate
from recovery.domain.state import MessageState, Status
from recovery.engine.receivers import Count
from recovery.mongo.schemas import Field, Fields

FACTS: Fields = {
    "customer": Field(
        "object",
        "the person the mails are for",
        fields={
            "email": Field("string", "their address, as reported"),
            "name": Field("string", "their name"),
        },
    ),
    "items": Field(
        "array",
        "the lines of the checkout",
        fields={
            "name": Field("string", "the product"),
            "price": Field("string", "the price of one piece, a decimal number"),
            "quantity": Field("int", "the number of pieces"),
            "variant": Field("string", "the variant of the product"),
            "url": Field("string", "its page"),
            "image_url": Field("string", "its picture"),
            "sku": Field("string", "its number in the shop's stock"),
        },
    ),
    "total": Field("string", "the amount to pay, a decimal number"),
    "discount": Field("string", "what is taken off, a decimal number"),
    "discount_code": Field("string", "the code that the customer entered"),
    "shipping": Field("string", "the price of shipping, a decimal number"),
    "tax": Field("string", "the tax, a decimal number"),
    "currency": Field("string", "of all amounts, ISO 4217"),
    "checkout_url": Field("string", "where the customer goes on"),
    "order_url": Field("string", "where the customer sees the order"),
    "locale": Field("string", "the language of the mails"),
    "time_zone": Field("string", "for quiet hours and times in mails, by its name in the tz database"),
    "metadata": Field("object", "values for templates alone", fields={"<name>": Field("string", "a value")}),
}

CONSENT: Fields = {
    "given": Field("bool null", "yes, no, or null for a yes that was taken back"),
    "basis": Field("string", "the legal basis"),
    "at": Field("date", "when it was said"),
    "source": Field("string", "where it was said"),
}

MESSAGE: Fields = {
    "state": Field("string", "what became of it", values=tuple(state.value for state in MessageState)),
    "attempts": Field("int", "attempts so far, counted at the claim"),
    "due_at": Field("date", "when it was due"),
    "retry_at": Field("date", "the earliest time of the next attempt"),
    "replayed_at": Field("date", "when an operator replayed it, which made it due"),
    "deferred_to": Field("date", "when it is due after another mail to the address"),
    "sent_at": Field("date", "when the relay took it"),
    "reason": Field("string", "why it was skipped, postponed or given up"),
    "message_id": Field("string", "its Message-ID"),
    "reply": Field("string", "the relay's last reply"),
    "coupon": Field("string", "the coupon code that the mail contains"),
    "ambiguous": Field("int", "attempts after which the relay may have it"),
    "handed_over": Field("bool", "whether the content of this attempt was sent, where that is recorded"),
}

CHECKOUT_PAUSE: Fields = {
    "at": Field("date", "since when"),
    "reason": Field("string", "why"),
}

CLAIM: Fields = {
    "token": Field("string", "the fencing token, which every later write of the sender must match"),
    "owner": Field("string", "the daemon that sends"),
    "until": Field("date", "the end of the lease"),
}

HISTORY: Fields = {
    "at": Field("date", "when it was decided"),
    "decision": Field("string", "what was decided"),
    "reason": Field("string", "and why"),
}

CHECKOUT: Fields = {
    "_id": Field("string", "the key, `<shop>/<order_id>`", required=True, pattern="^[^/]+/."),
    "schema": Field(
        "int long",
        "the version of the document, 1 if left out; one that is higher than this version knows is left alone",
    ),
    "shop": Field("string", "for finding: the shop"),
    "address": Field("string null", "for finding: the customer's address in the form in which addresses are compared"),
    "known_as": Field(
        "array", "for finding: other ids of the same checkout, where the platform uses several", of="string"
    ),
    "status": Field("string", "what became of it", required=True, values=tuple(status.value for status in Status)),
    "facts": Field("object", "what was reported, amounts as decimal strings", fields=FACTS),
    "consent": Field("object null", "the latest word on consent", fields=CONSENT),
    "opened_at": Field("date", "when it was opened", required=True),
    "touched_at": Field("date", "when the customer was last active in it", required=True),
    "active_at": Field("date null", "when they were last active in its cart, where that was reported without facts"),
    "paused": Field(
        "object null", "a pause of the reminders; it ends when `touched_at` is later", fields=CHECKOUT_PAUSE
    ),
    "ordered_at": Field("date null", "when it was ordered"),
    "confirm": Field("bool null", "whether the order is to be confirmed"),
    "revision": Field(
        "int long",
        "+1 with every report that changes something, and with a replay; nothing else changes it",
        required=True,
    ),
    "messages": Field("object", "by step", fields={"<step>": Field("object", "one message", fields=MESSAGE)}),
    "settled": Field(
        "array",
        "for finding: the messages that are sent, skipped or dead, as `reminder-1 sent`, and the reason of each, as"
        " `reminder-1 skipped: too late to be of use`",
        of="string",
    ),
    "claim": Field("object null", "the lease of the sender that has a message in hand", fields=CLAIM),
    "next_at": Field("date null", "when to look again; null at rest"),
    "written_at": Field("date", "when the last reminder was sent, for the gap between reminders to one address"),
    "purge_at": Field("date null", "TTL: when the document goes, with its personal data"),
    "history": Field("array", "the last decisions with their reasons, as `recovery show` prints them", fields=HISTORY),
    "returned": Field(
        "object",
        "when the customer first came back by the link in a mail, by step",
        fields={"<step>": Field("date", "when it was after the mail of this step")},
    ),
    "experiments": Field(
        "object",
        "its arm in each experiment",
        fields={"<experiment>": Field("string", "`held out`, `reminded`, `a` or `b`")},
    ),
    "assigned_at": Field("date", "for finding: when it was assigned to these arms"),
}

SHADOW: Fields = {
    "_id": Field("string", "the checkout's `_id`", required=True),
    "expire_at": Field("date", "TTL: when to look at the checkout", required=True),
}

_ERROR: Fields = {
    "at": Field("date", "when the message died", required=True),
    "error": Field("string", "what happened, without the customer's name and address"),
    "attempts": Field("int long", "attempts until then"),
}

DEAD_LETTER: Fields = {
    "_id": Field("string", "the key, `<checkout>#<step>`", required=True),
    "checkout": Field("string", "the checkout's `_id`", required=True),
    "step": Field("string null", "the message; null for a document that could not be read or written"),
    "cause": Field("string", "why it is dead"),
    "address": Field("string", "for finding: the recipient's address, in the form in which addresses are compared"),
    **_ERROR,
    "errors": Field("array", "the last deaths", fields=_ERROR),
    "replayed_at": Field("date null", "when an operator replayed it"),
}

POSITION: Fields = {
    "_id": Field("string", "the key, `<daemon>/<stream>`", required=True),
    "token": Field("object", "the resume token, as the server gave it", required=True),
    "saved_at": Field("date", "when it was saved", required=True),
}

DAEMON: Fields = {
    "_id": Field("string", "the daemon's name", required=True),
    "beat_at": Field("date", "its last heartbeat", required=True),
    "expires": Field("bool", "false if it does not delete expired shadows"),
    "sick": Field("array", "shops that it cannot send for, if any", of="string"),
    "well": Field("array", "exceptions among them, for which it can", of="string"),
}

_SLOT: Fields = {
    "at": Field("long", "its start, in milliseconds"),
    "n": Field("int long", "the messages counted in it"),
}

ALLOWANCE: Fields = {
    "_id": Field("string", "the relay's address, `host:port`", required=True),
    "used": Field(
        "object",
        "what was counted, by rate, as in `14/s`, and by warm-up, as in `warm-up 2026-12-01`",
        fields={"<rate>": Field("array", "the slots of its window, oldest first", fields=_SLOT)},
    ),
    "granted": Field("int long", "the messages that were granted last"),
    "wait_ms": Field("int long", "milliseconds until another may be granted, 0 for at once"),
    "put_off": Field("int long", "the messages that the warm-up held back last"),
    "put_off_ms": Field("int long", "milliseconds until the warm-up may leave more"),
    "halted": Field(
        "object",
        "the days on which complaints halted a warm-up, by its name",
        fields={"<warm-up>": Field("array", "its days, as in `2026-12-03`", of="string")},
    ),
    "at": Field("date", "when it was last asked for any", required=True),
}

RECEIVER: Fields = {
    "_id": Field("string", "the key, `<relay> <receiver>`", required=True),
    "relay": Field("string", "the relay's address, `host:port`", required=True),
    "receiver": Field("string", "the provider, the group of the settings, or the domain", required=True),
    "hours": Field(
        "array",
        "what was said about messages to it, by hour, oldest first",
        fields={
            "at": Field("long", "the start of the hour, in milliseconds"),
            **{count.value: Field("int long", "messages") for count in Count},
        },
    ),
    "slowed": Field(
        "object",
        "that it is slowed, if it is",
        fields={
            "since": Field("date", "since when"),
            "rate": Field("double", "to how many messages a second"),
            "reply": Field("string", "the reply for which it is, without the customer's address, or another reason"),
            "limit": Field("double", "messages a second, of all daemons, at which it last throttled us"),
            "limited_at": Field("date", "when it last throttled us"),
            "capped": Field("bool", "true if it is for what became of the messages of a day"),
            "at": Field("date", "when that was last so"),
        },
    ),
    "at": Field("date", "when something was last said", required=True),
}

CHANNEL: Fields = {
    "_id": Field("string", "the key, `<shop>/<channel>`", required=True, pattern="^[^/]+/."),
    "shop": Field("string", "the shop", required=True),
    "channel": Field("string", "the adapter, or `api` for reports over the HTTP API", required=True),
    "answers": Field(
        "object",
        "what became of its reports: `accepted`, `ignored`, `unmapped` (not understood) and `refused`",
        fields={
            "<answer>": Field(
                "object",
                "those that were answered so",
                fields={
                    "times": Field("int long", "how many"),
                    "at": Field("date", "when the last one was"),
                    "reason": Field("string", "why the last one was, without anything of its body"),
                },
            )
        },
    ),
    "at": Field("date", "when the shop last reported over it", required=True),
}

PAUSE: Fields = {
    "_id": Field("string", "the shop that is paused, or `*` for all sending", required=True),
    "at": Field("date", "since when"),
    "by": Field("string", "who paused it"),
    "reason": Field("string", "why"),
}

ACTIVITY: Fields = {
    "_id": Field("string", "the key, `<hour>/<daemon>/<shop>`", required=True),
    "at": Field("date", "the start of the hour", required=True),
    "daemon": Field("string", "the daemon that counted"),
    "shop": Field("string", "the shop whose messages they were"),
    "counts": Field(
        "array",
        "what became of messages in that hour",
        fields={
            "step": Field("string", "the message"),
            "fate": Field("string", "what became of it", values=tuple(fate.value for fate in Fate)),
            "reason": Field("string", "why it was skipped or given up"),
            "n": Field("int long", "how many"),
        },
    ),
    "lateness": Field(
        "array",
        "how late those were that were sent, from due to recorded",
        fields={
            "step": Field("string", "the message"),
            "within": Field("double", "seconds that they were late at most, and more than the next lower bound"),
            "n": Field("int long", "how many"),
        },
    ),
}

RESULT: Fields = {
    "_id": Field(
        "object",
        "what is summed up: the mails of a day, or the checkouts of an arm",
        required=True,
        fields={
            "day": Field("date", "the day (UTC) of the mails, or on which the first reminder was due"),
            "shop": Field("string", "the shop"),
            "step": Field("string", "the step of the mails; empty for an arm"),
            "language": Field("string", "the language of the checkouts, or empty"),
            "coupon": Field("string", "the coupon code in the mails, or empty"),
            "experiment": Field("string", "the experiment; empty for mails"),
            "arm": Field("string", "the arm"),
            "currency": Field("string", "of all amounts, or empty"),
        },
    ),
    "mails": Field("int long", "the mails sent", required=True),
    "checkouts": Field("int long", "the checkouts whose first mail this was, or those of the arm", required=True),
    "returned": Field("int long", "those whose customer came back by our link", required=True),
    "returned_orders": Field("int long", "those ordered after that", required=True),
    "ordered": Field("int long", "those ordered within the window", required=True),
    "open": Field("int long", "those of the arm that may still be ordered within it", required=True),
    "money": Field("decimal", "the total of the orders within the window", required=True),
    "squares": Field("decimal", "the sum of its squares", required=True),
    "returned_money": Field("decimal", "the total of the orders of those who came back", required=True),
    "at": Field("date", "when it was counted", required=True),
}

DATA_REQUEST: Fields = {
    "_id": Field("string", "the key, `<shop>/<id of the request>`", required=True),
    "shop": Field("string", "the shop that was asked"),
    "address": Field("string", "the person's address, in the form in which addresses are compared"),
    "orders": Field("array", "the orders that they named", of="string"),
    "asked_at": Field("date", "when they asked", required=True),
    "done_at": Field("date null", "when they were answered"),
    "done_by": Field("string", "who answered them"),
}

SELECTION: Fields = {
    "_id": Field("string", "the key, `<name>/<number>`", required=True),
    "by": Field("string", "the key of the person who was asked", required=True),
    "at": Field("date", "when they were asked", required=True),
    "ids": Field("array", "the ids that they were asked about", required=True, of="string"),
}

WORDS: Fields = {
    "_id": Field("string", "the key, `<of>/<version>`", required=True),
    "of": Field("string", "`<shop>/<language>`; `*/…` for all shops, `…/` for `words.toml`", required=True),
    "version": Field("int long", "counts from 1; the newest is in force", required=True),
    "by": Field("string", "who saved it", required=True),
    "at": Field("date", "when", required=True),
    "words": Field(
        "array",
        "all words of this version",
        fields={
            "mail": Field("string", "the mail whose word it is, empty for all mails"),
            "key": Field("string", "the name of the word"),
            "text": Field("string", "the word"),
        },
    ),
}

SUPPRESSION: Fields = {
    "_id": Field(
        "string",
        "the key, `<shop>/<pseudonym>`, or `/<pseudonym>` for all shops",
        required=True,
        pattern="^[^/]*/[0-9a-f]{32}$",
    ),
    # A newer version may know more reasons.
    "reason": Field("string", "why; none if only soft bounces are counted", needs=("at",)),
    "at": Field("date", "since when"),
    "until": Field("date", "until when, for soft bounces"),
    "source": Field("string", "where that was said"),
    "soft_bounces": Field("int long", "the number of soft bounces"),
    "last_bounce_at": Field("date", "when the last one was reported"),
    "soft_days": Field("array", "the days (UTC) with any, since the last suppression for them", of="date"),
    "reports": Field("array", "the ids of their reports, so that each is counted once", of="string"),
}
