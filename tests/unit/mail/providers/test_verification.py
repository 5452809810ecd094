"""Signatures of providers: a verifier agrees with its oracle on 1,000 bodies, and refuses each with one bit changed."""

import base64
import hmac
import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
import standardwebhooks
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from standardwebhooks import Webhook, WebhookVerificationError

from recovery.mail.providers.brevo import Brevo
from recovery.mail.providers.mailgun import Mailgun
from recovery.mail.providers.postmark import Postmark
from recovery.mail.providers.provider import DAY, SignedRequest
from recovery.mail.providers.resend import Resend
from recovery.mail.providers.sendgrid import SIGNATURE, TIMESTAMP, SendGrid
from recovery.mail.providers.ses import Ses

NOW = datetime.now(UTC).replace(microsecond=0)


class _StandingClock(datetime):
    """The clock of a library, at the time of our requests."""

    @classmethod
    def now(cls, tz=None):
        return NOW.astimezone(tz)


SECRET, OLD = "a secret of some length", "an older secret of some length"
WHSEC = f"whsec_{base64.b64encode(b'a secret of thirty-two bytes ...').decode()}"
OLD_WHSEC = f"whsec_{base64.b64encode(b'another secret of some bytes ...').decode()}"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:bounces"
CERTIFICATE = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123abcd.pem"
SUBSCRIBE = f"https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=t"


@cache
def ec_key():
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public(key):
    return base64.b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


@cache
def certificate(valid_from=-1, valid_until=1):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sns.amazonaws.com")])
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(rsa_key().public_key())
    built = built.serial_number(1).not_valid_before(NOW + timedelta(days=valid_from))
    return built.not_valid_after(NOW + timedelta(days=valid_until)).sign(rsa_key(), SHA256()).public_bytes(Encoding.PEM)


def unix(at):
    return str(int(at.timestamp()))


def by_sendgrid(body, at=NOW, key=None):
    time = unix(at)
    signature = (key or ec_key()).sign(time.encode() + body, ec.ECDSA(SHA256()))
    return SignedRequest(body, {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: time}, NOW)


def by_resend(body, at=NOW, secret=WHSEC, name="svix"):
    signature = Webhook(secret).sign("msg_1", at, body.decode())
    headers = {f"{name}-id": "msg_1", f"{name}-timestamp": unix(at), f"{name}-signature": signature}
    return SignedRequest(body, headers, NOW)


def by_mailgun(body=b"{}", at=NOW, secret=SECRET):
    time, token = unix(at), "a-token"
    signature = hmac.new(secret.encode(), f"{time}{token}".encode(), "sha256").hexdigest()
    signed = {"timestamp": time, "token": token, "signature": signature}
    return SignedRequest(json.dumps({"signature": signed, "event-data": {}}).encode(), {}, NOW)


def by_sns(text="{}", at=NOW, version="1", **changes):
    message = {
        "Type": "Notification",
        "MessageId": "m-1",
        "TopicArn": TOPIC,
        "Message": text,
        "Timestamp": at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "SignatureVersion": version,
        "SigningCertURL": CERTIFICATE,
        **changes,
    }
    names = sorted({"Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"})
    signed = "".join(f"{name}\n{message[name]}\n" for name in names if name in message).encode()
    signature = rsa_key().sign(signed, PKCS1v15(), SHA256() if version == "2" else SHA1())
    message["Signature"] = base64.b64encode(signature).decode()
    return SignedRequest(json.dumps(message).encode(), {}, NOW, certificate=certificate())


def with_password(secret=SECRET, scheme="Basic"):
    given = base64.b64encode(f"recovery:{secret}".encode()).decode() if scheme == "Basic" else secret
    return SignedRequest(b"{}", {"authorization": f"{scheme} {given}"}, NOW)


def flipped(data, at):
    changed = bytearray(data)
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def bodies():
    rng = random.Random(14)  # the same each time
    for number in range(1000):
        text = "".join(rng.choice('aé日 "{}[],:\\n0') for _ in range(rng.randrange(1, 200)))
        yield json.dumps({"n": number, "text": text}, ensure_ascii=rng.random() < 0.5).encode(), rng


def test_sendgrid_agrees_with_cryptography():
    """A body that the key signed is taken; with one bit changed it is not."""
    keys = [public(ec.generate_private_key(ec.SECP256R1())), public(ec_key())]
    for body, rng in bodies():
        request = by_sendgrid(body)
        assert SendGrid().verify(request, keys)
        assert not SendGrid().verify(replace(request, body=flipped(body, rng.randrange(8 * len(body)))), keys)


@pytest.mark.parametrize("name", ["svix", "webhook"])
def test_resend_agrees_with_standardwebhooks(name, monkeypatch):
    """The vendor's library takes and refuses the same bodies."""
    monkeypatch.setattr(standardwebhooks.webhooks, "datetime", _StandingClock)  # or a slow machine has them too old
    for body, rng in bodies():
        request = by_resend(body, name=name)
        headers = {each.replace("svix", "webhook"): value for each, value in request.headers.items()}
        assert Resend().verify(request, [OLD_WHSEC, WHSEC])
        assert Webhook(WHSEC).verify(body, headers) == json.loads(body)
        changed = flipped(body, rng.randrange(8 * len(body)))
        assert not Resend().verify(replace(request, body=changed), [OLD_WHSEC, WHSEC])
        with pytest.raises((WebhookVerificationError, UnicodeDecodeError)):
            Webhook(WHSEC).verify(changed, headers)


@pytest.mark.parametrize("version", ["1", "2"])
def test_ses_agrees_with_cryptography(version):
    """A notification that the certificate's key signed is taken; with one bit of its text changed it is not."""
    for body, rng in bodies():
        text = body.decode()
        request = by_sns(text, version=version)
        assert Ses().verify(request, [TOPIC])
        at = rng.randrange(len(text))
        message = json.loads(request.body)
        changed = message | {"Message": text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]}
        assert not Ses().verify(replace(request, body=json.dumps(changed).encode()), [TOPIC])


def test_mailgun_signs_time_and_token_alone():
    """Any change of them, or of the signature, is refused; the event is not covered, which the documents say."""
    for at in range(60):
        request = by_mailgun(at=NOW - timedelta(seconds=at))
        assert Mailgun().verify(request, [OLD, SECRET])
        signed = json.loads(request.body)
        for field, value in signed["signature"].items():
            other = signed["signature"] | {field: value[:-1] + chr(ord(value[-1]) ^ 1)}
            assert not Mailgun().verify(
                replace(request, body=json.dumps(signed | {"signature": other}).encode()), [SECRET]
            )


@pytest.mark.parametrize("provider", [Postmark(), Brevo()], ids=lambda each: each.name)
@pytest.mark.parametrize("secret", [SECRET, OLD])
def test_a_secret_in_the_request_will_do(provider, secret):
    """Any of the secrets: as the password, as a token or in the address; a wrong or empty one is refused."""
    in_address = SignedRequest(b"{}", {}, NOW, secret=secret)
    for request in (with_password(secret), with_password(secret, "Bearer"), in_address):
        assert provider.verify(request, [OLD, SECRET])
        assert not provider.verify(request, ["another one"])
        assert not provider.verify(request, [])
    for nothing in (
        with_password(""),
        replace(in_address, secret=""),
        SignedRequest(b"", {"authorization": "Basic é"}, NOW),
    ):
        assert not provider.verify(nothing, [OLD, SECRET])


@pytest.mark.parametrize(
    ("provider", "make", "secrets", "tolerance"),
    [
        (SendGrid(), lambda at: by_sendgrid(b"[]", at), lambda: [public(ec_key())], DAY),
        (Mailgun(), lambda at: by_mailgun(at=at), lambda: [SECRET], DAY),
        (Ses(), lambda at: by_sns(at=at), lambda: [TOPIC], DAY),
        (Resend(), lambda at: by_resend(b"{}", at), lambda: [WHSEC], 300),
    ],
    ids=["sendgrid", "mailgun", "ses", "resend"],
)
def test_a_stale_signature_is_refused(provider, make, secrets, tolerance):
    """A recorded request cannot be sent again much later, nor one be made for the future."""
    for age, taken in ((0, True), (tolerance, True), (tolerance + 1, False), (-300, True), (-301, False)):
        assert provider.verify(make(NOW - timedelta(seconds=age)), secrets()) is taken, age


@pytest.mark.parametrize(
    "provider", [SendGrid(), Mailgun(), Ses(), Resend(), Postmark(), Brevo()], ids=lambda each: each.name
)
@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff", b'{"signature": null}', b"[" * 10_000])
def test_nonsense_is_refused(provider, body):
    """A request without a proof, and any nonsense for one, is refused and crashes nothing."""
    names = (SIGNATURE, TIMESTAMP, "svix-id", "svix-timestamp", "svix-signature", "authorization")
    for value in ("", "é", "1", "v1,x", "Basic x", "9" * 5000):
        request = SignedRequest(body, dict.fromkeys(names, value), NOW, certificate=b"x")
        assert not provider.verify(request, ["x", "whsec_é", ""])


@pytest.mark.parametrize(
    ("changes", "secrets"),
    [
        ({"SigningCertURL": CERTIFICATE.replace("https", "http")}, [TOPIC]),
        ({"SigningCertURL": CERTIFICATE.replace(".com", ".com.evil.example")}, [TOPIC]),
        ({"SigningCertURL": CERTIFICATE.replace("sns.", "evil.example/sns.")}, [TOPIC]),
        ({"SigningCertURL": CERTIFICATE.replace("sns.", "a@sns.")}, [TOPIC]),
        ({"SigningCertURL": CERTIFICATE.replace(".com/", ".com:8443/")}, [TOPIC]),
        ({"SigningCertURL": CERTIFICATE.replace(".com/", ".com/other/")}, [TOPIC]),
        ({"SigningCertURL": f"{CERTIFICATE}?x=y"}, [TOPIC]),
        ({"SigningCertURL": CERTIFICATE.replace("sns.", "s3.")}, [TOPIC]),
        ({"TopicArn": f"{TOPIC}2"}, [TOPIC]),
        ({}, []),
    ],
)
def test_only_certificates_of_amazon_sns_are_fetched(changes, secrets):
    """And only for a topic of ours: else nothing is fetched, and the message is refused."""
    request = by_sns(**changes)
    assert Ses().certificate_url(request, secrets) is None
    assert not Ses().verify(request, secrets)


@pytest.mark.parametrize("days", [(-2, -1), (1, 2)])
def test_a_certificate_out_of_date_is_refused(days):
    """The certificate must be valid now."""
    assert not Ses().verify(replace(by_sns(), certificate=certificate(*days)), [TOPIC])


def test_a_subscription_is_confirmed_where_amazon_says():
    """Only at Amazon SNS, for that topic, and for that action."""
    asked = {"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": SUBSCRIBE}
    request = by_sns(**asked)
    assert Ses().verify(request, [TOPIC])
    assert Ses().confirmation_url(request) == SUBSCRIBE
    assert Ses().read(request) == []
    assert Ses().confirmation_url(by_sns()) is None
    for other in (
        SUBSCRIBE.replace("sns.eu-west-1.amazonaws.com", "evil.example"),
        SUBSCRIBE.replace("Confirm", "Delete"),
        SUBSCRIBE.replace(":bounces", ":others"),
    ):
        assert Ses().confirmation_url(by_sns(**asked | {"SubscribeURL": other})) is None
