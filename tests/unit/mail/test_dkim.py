"""Signatures on mails: whatever is composed verifies by dkimpy, and nothing that was changed does."""

import re
from base64 import b64decode
from email import message_from_bytes, policy
from types import SimpleNamespace

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from hypothesis import example, given, settings
from hypothesis import strategies as st

from recovery.mail.composer import Composer
from recovery.mail.dkim import BadKey, Signer, load_key
from tests.support.mail_reading import IDENTITY, NOW, STEP, TEMPLATES, WORDS, keeps_to_its_lines, left

PKCS8 = (Encoding.PEM, PrivateFormat.PKCS8)


def write(path, key, lock=None):
    path.write_bytes(key.private_bytes(*PKCS8, lock or NoEncryption()))
    return path


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A key of each kind."""
    folder = tmp_path_factory.mktemp("keys")
    return {
        "rsa": load_key(write(folder / "rsa.pem", rsa.generate_private_key(65537, 2048))),
        "ed25519": load_key(write(folder / "ed25519.pem", ed25519.Ed25519PrivateKey.generate())),
    }


@pytest.fixture(scope="module", autouse=True)
def ed25519_without_pynacl():
    """dkimpy takes Ed25519 from PyNaCl, which is not here; the one call it makes, by cryptography."""

    class VerifyKey:
        def __init__(self, public, encoder):
            self._key = ed25519.Ed25519PublicKey.from_public_bytes(b64decode(public))

        def verify(self, digest, signature):
            self._key.verify(signature, digest)

    exceptions = SimpleNamespace(ValueError=ValueError, BadSignatureError=InvalidSignature)
    signing = SimpleNamespace(VerifyKey=VerifyKey)
    dkim.nacl = SimpleNamespace(signing=signing, encoding=SimpleNamespace(Base64Encoder=None), exceptions=exceptions)


def verifies(message, key):
    """What a receiver says who finds this key in the DNS."""
    asked = []

    def txt(name, timeout=5):
        asked.append(name)
        return f"v=DKIM1; k={key.algorithm}; p={key.public}".encode()

    verified = dkim.verify(message, dnsfunc=txt)
    assert set(asked) <= {b"mails._domainkey.lamps.example."}
    return verified


def signed(key, checkout=None):
    composer = Composer(TEMPLATES, IDENTITY, sign=Signer("lamps.example", "mails", key))
    return composer.compose(checkout or left(), STEP, NOW).content


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
@settings(max_examples=25, deadline=None)
@given(name=st.one_of(st.none(), WORDS), item=WORDS)
@example(name="é" * 300, item="a  \t b " * 60)
def test_any_mail_verifies(keys, algorithm, name, item):
    """Whatever stands in a mail, its signature holds."""
    assert verifies(signed(keys[algorithm], left(name=name, item=item)), keys[algorithm])


@pytest.mark.parametrize("algorithm", ["rsa", "ed25519"])
@settings(max_examples=40, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True))
def test_no_changed_mail_verifies(keys, algorithm, where):
    """A change of one signed letter breaks the signature."""
    message = signed(keys[algorithm])
    begins = message.index(b"\r\nTo: ") + 6
    letters = [place for place in range(begins, len(message)) if message[place : place + 1].isalnum()]
    place = letters[int(where * len(letters))]
    changed = message[:place] + (b"x" if message[place : place + 1] != b"x" else b"y") + message[place + 1 :]
    assert not verifies(changed, keys[algorithm])


@settings(max_examples=100, deadline=None)
@given(
    body=st.lists(st.sampled_from([b"\r\n", b" ", b"\t", b"  \r\n", b"a", b"b c"]), max_size=12).map(b"".join),
    subject=st.lists(st.sampled_from([b" ", b"\t", b"word", b"\r\n ", b"\r\n\t", b": "]), max_size=8).map(b"".join),
)
@example(body=b"", subject=b"")
@example(body=b"\r\n\r\n", subject=b"")
def test_blanks_may_be_anywhere(keys, body, subject):
    """Headers are unfolded, blanks drawn together and empty lines at the end left out, as dkimpy does it."""
    message = b"From: a@lamps.example\r\nSubject:" + subject + b"x\r\n\r\n" + body + b"\r\n"
    assert verifies(Signer("lamps.example", "mails", keys["rsa"])(message), keys["rsa"])


def test_headers_of_any_script_verify(keys):
    """An address that only SMTPUTF8 can carry stands in the header as it is, and is signed so."""
    message = signed(keys["rsa"], left(email="añá@bücher.example"))
    assert "añá".encode() in message
    assert verifies(message, keys["rsa"])


def test_blanks_may_change_on_the_way(keys):
    """A relay that refolds headers or strips trailing blanks does not break the signature."""
    message = signed(keys["rsa"]).replace(b"\r\nSubject: ", b"\r\nSUBJECT:\t ")
    assert verifies(message + b" \r\n\r\n", keys["rsa"])


def test_headers_that_count_are_covered(keys):
    """All headers that matter to a receiver are signed, From one time more than it occurs."""
    message = b"List-Unsubscribe: <https://a.example>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
    message += b"List-Id: <shop.lamps.example>\r\n" + Composer(TEMPLATES, IDENTITY).compose(left(), STEP, NOW).content
    message = Signer("lamps.example", "mails", keys["rsa"])(message)
    header = re.sub(r"\s", "", str(message_from_bytes(message, policy=policy.default)["DKIM-Signature"]))
    covered = re.search("h=([^;]*);", header)[1].split(":")
    assert sorted(covered) == [
        *("auto-submitted", "content-type", "date", "from", "from", "list-id", "list-unsubscribe"),
        *("list-unsubscribe-post", "message-id", "mime-version", "reply-to", "subject", "to"),
    ]


def test_a_second_from_breaks_it(keys):
    """No other From can be put before the one that was signed."""
    assert not verifies(b"From: Eve <eve@evil.example>\r\n" + signed(keys["rsa"]), keys["rsa"])


def test_the_last_of_several_is_signed_first(keys):
    """Headers that are there twice are covered twice, from the bottom up."""
    message = b"Subject: one\r\nSubject: two\r\nFrom: a@lamps.example\r\n\r\nHello\r\n"
    message = Signer("lamps.example", "mails", keys["rsa"])(message)
    assert verifies(message, keys["rsa"])
    assert not verifies(message.replace(b"one", b"six"), keys["rsa"])


def test_lines_keep_to_their_length(keys):
    """The signature is folded like the other headers."""
    for key in keys.values():
        assert keeps_to_its_lines(signed(key), header=78 + len("lamps.example"))


class TestBadKeys:
    """A file that is not a key is reported in a sentence that names it."""

    def refused(self, path):
        with pytest.raises(BadKey) as caught:
            load_key(path)
        assert str(caught.value).startswith(f"{path} ")
        return str(caught.value)

    def test_nonsense(self, tmp_path):
        """Text that is not PEM, or a certificate, is not a key."""
        (tmp_path / "key").write_text("hello")
        assert "openssl" in self.refused(tmp_path / "key")

    def test_locked(self, tmp_path):
        """A key with a password cannot be read."""
        key = rsa.generate_private_key(65537, 2048)
        assert "password" in self.refused(write(tmp_path / "key", key, BestAvailableEncryption(b"hush")))

    def test_of_another_kind(self, tmp_path):
        """A key of an elliptic curve that DKIM does not know is refused."""
        assert "another kind" in self.refused(write(tmp_path / "key", ec.generate_private_key(ec.SECP256R1())))

    def test_away(self, tmp_path):
        """A missing file is reported."""
        assert "cannot be read" in self.refused(tmp_path / "key")
