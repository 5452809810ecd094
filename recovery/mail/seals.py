"""What leaves the house without being readable: sealed texts, for links and return paths."""

from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

OVERHEAD = 16
"""Bytes by which what is sealed is longer than what is in it (the synthetic IV, RFC 5297 section 2.6)."""


class Seals:
    """Seals and opens by AES-SIV (RFC 5297), which is deterministic: the same link for the same address.

    The first key, the newest, seals; all of them open. Without a key nothing opens, and sealing raises `ValueError`.
    A purpose keeps what was sealed for one thing from being opened as another.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._ciphers = [AESSIV(_derived(key)) for key in keys]

    def seal(self, purpose: str, content: bytes) -> bytes:
        """Return `content`, which must not be empty, sealed: `OVERHEAD` bytes longer."""
        if not self._ciphers:
            raise ValueError("there is no key to seal with")
        return self._ciphers[0].encrypt(content, [purpose.encode()])

    def open(self, purpose: str, sealed: bytes) -> bytes | None:
        """Return what was sealed for this purpose by any of the keys, or None."""
        if len(sealed) <= OVERHEAD:
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed, [purpose.encode()])
            except InvalidTag:
                continue
        return None

    def seal_text(self, purpose: str, content: str) -> str:
        """Return a text sealed, in base64url without padding: for links."""
        return urlsafe_b64encode(self.seal(purpose, content.encode())).rstrip(b"=").decode()

    def open_text(self, purpose: str, sealed: str) -> str | None:
        """Return the text that was sealed for this purpose, or None."""
        try:
            raw = urlsafe_b64decode(f"{sealed}{'=' * (-len(sealed) % 4)}")
        except (NotBase64, ValueError):
            return None
        # The decoder passes over foreign characters and the spare bits of the last one: then it is not what was made.
        if urlsafe_b64encode(raw).rstrip(b"=") != sealed.encode():
            return None
        content = self.open(purpose, raw)
        return content.decode() if content is not None else None


def base32(sealed: bytes) -> str:
    """Return bytes as lower-case base32 without padding: what mail servers leave as it is in a local part."""
    return b32encode(sealed).decode().rstrip("=").lower()


def from_base32(text: str) -> bytes | None:
    """Return the bytes that `base32` wrote, in whatever case they come back, or None."""
    try:
        raw = b32decode(f"{text}{'=' * (-len(text) % 8)}", casefold=True)
    except (NotBase64, ValueError):
        return None
    return raw if base32(raw) == text.lower() else None


def _derived(key: str) -> bytes:
    return HKDF(SHA512(), length=64, salt=None, info=b"recovery seals").derive(key.encode())
