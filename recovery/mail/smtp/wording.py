"""Classification of a refusal by its words: our rate, our account, our reputation, or the recipient.

Codes say little: providers put quotas, blocklists and dead mailboxes under the same 550. Words say more: families of
phrases that every provider uses, in the languages in which mailboxes are most often full. If several match, the least
harmful counts: a pause can be made good, a suppressed address cannot. Refusals in other languages are still noticed by
`recovery.engine.brake`, by their number.
"""

import re
from enum import StrEnum
from functools import cache

from recovery.domain.masking import masked


class Wording(StrEnum):
    """Subject of a refusal; of several, the first in this order counts."""

    RECIPIENT_BUSY = "recipient-busy"
    """The recipient gets too much mail, from any sender."""
    RECIPIENT_FULL = "recipient-full"
    """The recipient's mailbox is full."""
    ACCOUNT = "account"
    """Our account or identity is not accepted: every message of ours would be refused."""
    RATE = "rate"
    """We send too much or too fast."""
    TEMPORARY = "temporary"
    """A temporary fault of any kind."""
    SENDER = "sender"
    """About the sender, not the recipient."""
    RULE = "rule"
    """A rule on the recipient's side about such mail: this message will never be accepted."""
    BLOCKED = "blocked"
    """Our IP address or domain is on a blocklist, or its reputation is bad."""
    UNKNOWN = "unknown"
    """The recipient does not exist, in words that mean nothing else."""
    NOBODY = "nobody"
    """The recipient does not exist, or no longer."""
    POLICY = "policy"
    """Something is not permitted, without a more exact reason."""


_NEAR = r"[^.;]{0,40}?"
_MAILBOX = r"(?:mail ?box|inbox|recipient|user|box|maildir)"
_WHO = r"(?<!sender )(?<!sending )(?<!from )(?:user|recipient|mailbox|addressee|alias)"

_FAMILIES = (
    (Wording.RECIPIENT_BUSY, rf"\b(?:user|recipient|mailbox|person|account){_NEAR}\b(?:is |are )?receiving\b"),
    (
        Wording.RECIPIENT_FULL,
        rf"(?<!your )\b{_MAILBOX}\b{_NEAR}\b(?:full|over ?-?(?:its )?quota|quota|out of (?:storage|space)|storage)\b"
        rf"|\b(?:over ?quota|quota exceeded|exceeded?s? (?:the )?(?:disk |storage )?quota){_NEAR}\b{_MAILBOX}\b"
        r"|\bmailbox (?:size|storage) (?:limit )?exceeded|\bmailfolder is full|\bexceeded storage allocation"
        r"|\bno space left for|\binsufficient (?:disk|mailbox|system|storage) ?(?:space|quota|storage)?\b"
        r"|\b(?:mailbox|storage)\b[^.;]{0,30}\bcapacity\b|\bover capacity"
        rf"|\b(?:postfach|mailbox|konto|postvak)\b{_NEAR}\b(?:voll|(?:ü|ue)berf(?:ü|ue)llt|vol)\b"
        rf"|\bbo(?:î|i)tes?\b{_NEAR}\b(?:pleine?s?|satur(?:é|e)e?s?)\b"
        rf"|\bbuz(?:ó|o)n\b{_NEAR}\b(?:lleno|cuota)\b|\bcuota\b{_NEAR}\bbuz(?:ó|o)n\b"
        rf"|\bcasell[ae]\b{_NEAR}\bpien[ae]\b|\bcaixa\b{_NEAR}\bcheia\b|\bskrzynka\b{_NEAR}\bpe(?:ł|l)na"
        r"|переполнен",
    ),
    (
        Wording.ACCOUNT,
        r"\bnot (?:a )?verified\b|\bunverified (?:sender|identity|domain|from)|\bverified sender|\bsender verif"
        r"|\bsender identit|\bsandbox|\bcredits?\b|\bbilling|\bpayment|\bunpaid|\btrial\b|\bplan (?:limit|expired)"
        r"|\bnot (?:allowed|authori[sz]ed|permitted|enabled|activated) to (?:send|use|relay)"
        r"|\bsending (?:is |has been |was )?(?:suspended|disabled|paused|blocked|not allowed|privileges)"
        r"|\byour (?:account|domain|organi[sz]ation|subscription|user)\b[^.;]{0,40}\b(?:suspended|disabled|locked"
        r"|blocked|restricted|inactive|expired|deactivated|terminated|under review|not active)"
        r"|\baccount (?:is |has been |was )?(?:suspended|restricted|under review)\b(?! for this recipient)"
        r"|\bsender (?:address )?(?:rejected|denied|refused)|\bfrom address\b"
        r"|\bauthenticat(?:e|ion)\b|\bunauthenticated|\b(?:spf|dkim|dmarc)\b"
        r"|\bdisabled for (?:abuse|spam)|\b(?:outgoing|outbound)\b[^.;]{0,40}\b(?:suspended|disabled|blocked|limited)"
        r"|\b(?:ihr|votre|su|tu|vostro|tuo|sua|uw) (?:konto|account|compte|cuenta|conta)\b",
    ),
    (
        Wording.RATE,
        r"\brate\b|throttl|quota|(?<!\bun)limit(?:s|e|es)?\b|\blimitation|\blimited (?:to|the)\b"
        r"|\bkontingent|\bcuota|\bl(?:í|i)mite\b|\bzu viele\b|\btrop de\b|\bdemasiados\b|\btropp[ei]\b|\bmuit[ao]s\b"
        r"|\btoo (?:many|much|fast|quickly|often)\b(?! hops)|\bslow(?:ing)? down\b|\bbackoff\b|\bback off\b"
        r"|\b(?:per|an?|each|/) ?(?:second|minute|hour|day|month)\b|\b(?:daily|hourly|monthly)\b"
        r"|\bunusual (?:rate|volume|amount)|\bunexpected volume|\bhigh volume|\bexcessive|\bflood"
        r"|\btry again tomorrow|\bmax(?:imum)? (?:number of )?(?:emails?|mails?|messages?|recipients)\b",
    ),
    (
        Wording.TEMPORARY,
        r"\btemporar(?:y|ily)\b|\b(?:again|back|retry|resend|send) (?:\w+ )?later\b|\btry later\b|\bretry in\b"
        r"|\bagain in (?:\d+|a few|some)\b|\bcome back\b|\binternal (?:server |system )?error|\blookup (?:failed|error)"
        r"|\btimed? ?out\b|\bgr[ae]y ?list|\bserver (?:is )?(?:too )?busy|\bunder maintenance\b|\boverload"
        r"|\bvor(?:ü|ue)bergehend|\bsp(?:ä|ae)ter\b|\btemporaire|\bplus tard\b|\bult(?:é|e)rieurement"
        r"|\btemporalmente|\bm(?:á|a)s tarde\b|\btemporane|\bpi(?:ù|u) tardi\b|\btemporariamente|\bmais tarde\b"
        r"|\btijdelijk|временно|позже",
    ),
    (
        Wording.SENDER,
        r"\b(?:sender|sending (?:account|domain|host|server|ip)|from address|envelope[- ](?:from|sender)|return[- ]path"
        r"|helo|ehlo|ptr|reverse dns|rdns|outbound|outgoing"
        r"|absender|exp(?:é|e)diteur|remitente|mittente|remetente|afzender)s?\b",
    ),
    (Wording.RULE, r"\badministrative(?:ly)? prohibit|\bblocked senders?\b|\bheader based|\bsender (?:is )?blocked by"),
    (
        Wording.BLOCKED,
        r"\bblock ?-?list|\bblack ?-?list|\bdeny ?-?list|\blisted (?:at|by|in|on)\b|\brbl\b|\bdnsbl|spamhaus|spamcop"
        r"|barracuda(?:central)|\breputation|\bspam|\bunsolicited|\bjunk|\bblocked\b|\bbanned\b|\bsuspicious"
        r"|\b(?:ip|client|host)\b[^.;]{0,30}\b(?:blocked|rejected|refused|denied|not allowed)",
    ),
    (
        Wording.UNKNOWN,
        r"\bunknown (?:user|recipient|mailbox|addressee|alias)|\bno such (?:user|recipient|mailbox|address|person)"
        rf"|\b{_WHO}s?\b[^.;,]{{0,30}}?\b(?:unknown|not found|does ?n[o']t exist|does not exist|inactiv)",
    ),
    (
        Wording.NOBODY,
        r"\bunknown (?:user|recipient|mailbox|local|address|account|mail ?drop)"
        r"|\b(?:user|recipient|mailbox|address|account|addressee|alias|inbox)s?\b[^.;]{0,40}?\b(?:unknown|not (?:found"
        r"|known|exist|listed|valid|available|recogni[sz]ed|a valid|active|here|local)|does ?n[o']t (?:exist|have)"
        r"|does not (?:exist|have)|no longer|unavailable|invalid|disabled|inactive|deactivated|discontinued|closed"
        r"|undeliverable|expired|suspended|deleted|marked as invalid)"
        r"|\bmailbox name not allowed|(?<!sender )\baddress rejected\b"
        r"|\bdoes ?n['o]?t have an?\b[^.;]{0,30}\baccount|\bno such\b|\bno mail ?box\b|\bno (?:valid )?recipients?\b"
        r"|\b(?:invalid|bad|incorrect|nonexistent|non-existent|undeliverable|unrouteable|unroutable|inactive|disabled)"
        r" (?:user|recipient|mailbox|mail ?box|address|destination|account)"
        r"|\bnot (?:our|a local) (?:customer|user|mailbox|address)"
        r"|\bnot a (?:known|valid) (?:user|recipient|mailbox|address)"
        r"|\b(?:empf(?:ä|ae)nger|benutzer|postfach|adresse)\b[^.;]{0,40}?\b(?:unbekannt|existiert|nicht|ung(?:ü|ue)ltig)"
        r"|\b(?:utilisateur|destinataire|adresse)\b[^.;]{0,40}?\b(?:inconnue?|inexistante?|invalide)"
        r"|\b(?:usuario|destinatario|buz(?:ó|o)n|utente|casella)\b[^.;]{0,40}?\b(?:desconocido|inexistente|no existe"
        r"|sconosciuto|inesistente)",
    ),
    (
        Wording.POLICY,
        r"\brelaying|\brelay (?:access|not)|rcpthosts|\bpolic(?:y|ies)|\bprohibited"
        r"|\bnot (?:permitted|allowed|accepted)"
        r"|\bdenied|\brefused|\bforbidden",
    ),
)
_SIZE = re.compile(
    r"\b(?:message|mail|e-mail|content|attachment|header|maximum|fixed)\b[^.;]{0,30}\bsize\b", re.IGNORECASE
)
"""Limits on a message's size, which are about that message and not about our rate."""

_NOBODY = {Wording.NOBODY, Wording.UNKNOWN}
_LINK = re.compile(r"https?://\S+|\bwww\.\S+")
_SEARCHED = 2000
"""Characters of a reply that are searched."""


@cache
def _patterns() -> tuple[tuple[Wording, re.Pattern[str]], ...]:
    """Return the compiled families: by the first refusal, not at a start, which they would make longer."""
    return tuple((wording, re.compile(pattern, re.IGNORECASE)) for wording, pattern in _FAMILIES)


def says_nobody(text: str) -> bool:
    """Return whether the text says that the recipient does not exist."""
    return not _NOBODY.isdisjoint(wordings(text))


def wordings(text: str) -> frozenset[Wording]:
    """Return the subjects of a reply. Addresses and links are ignored: their words may be a person's name."""
    words = _LINK.sub(" ", masked(" ".join(text[:_SEARCHED].split())))
    found = {wording for wording, pattern in _patterns() if pattern.search(words)}
    if Wording.RATE in found and _SIZE.search(words):
        found.discard(Wording.RATE)
    return frozenset(found)


_ABOUT_PIPELINING = re.compile(r"\bpipelining\b|\bsynchroni[sz]ation error", re.IGNORECASE)


def is_about_pipelining(reply: str) -> bool:
    """Return whether a refusal is like `554 improper command pipelining` or `554 SMTP synchronization error`."""
    return _ABOUT_PIPELINING.search(reply) is not None
