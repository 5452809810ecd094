"""Encrypted tokens for links and return paths (AES-SIV, RFC 5297)."""

from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

OVERHEAD = 16
"""Bytes that encryption adds (the synthetic IV, RFC 5297 section 2.6)."""


class Seals:
    """Encrypts and decrypts by AES-SIV (RFC 5297), which is deterministic: the same link for the same address.

    The first key, the newest, encrypts; all of them decrypt. Without a key, `open` returns None and `seal` raises
    `ValueError`. The purpose is authenticated: a token made for one purpose cannot be used for another.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._ciphers = [AESSIV(_derived(key)) for key in keys]

    def seal(self, purpose: str, content: bytes) -> bytes:
        """Return `content` encrypted, `OVERHEAD` bytes longer; it must not be empty."""
        if not self._ciphers:
            raise ValueError("there is no key to encrypt with")
        return self._ciphers[0].encrypt(content, [purpose.encode()])

    def open(self, purpose: str, sealed: bytes) -> bytes | None:
        """Return the content encrypted for this purpose by any of the keys, or None."""
        if len(sealed) <= OVERHEAD:
            return None
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed, [purpose.encode()])
            except InvalidTag:
                continue
        return None

    def seal_text(self, purpose: str, content: str) -> str:
        """Return a text encrypted, in base64url without padding: for links."""
        return urlsafe_b64encode(self.seal(purpose, content.encode())).rstrip(b"=").decode()

    def open_text(self, purpose: str, sealed: str) -> str | None:
        """Return the text encrypted for this purpose, or None."""
        try:
            raw = urlsafe_b64decode(f"{sealed}{'=' * (-len(sealed) % 4)}")
        except (NotBase64, ValueError):
            return None
        # The decoder ignores foreign characters and the spare bits of the last one: such a text was not made here.
        if urlsafe_b64encode(raw).rstrip(b"=") != sealed.encode():
            return None
        content = self.open(purpose, raw)
        return content.decode() if content is not None else None


def base32(sealed: bytes) -> str:
    """Return bytes as lower-case base32 without padding, which mail servers leave unchanged in a local part."""
    return b32encode(sealed).decode().rstrip("=").lower()


def from_base32(text: str) -> bytes | None:
    """Return the bytes that `base32` encoded, in any case, or None."""
    try:
        raw = b32decode(f"{text}{'=' * (-len(text) % 8)}", casefold=True)
    except (NotBase64, ValueError):
        return None
    return raw if base32(raw) == text.lower() else None


def _derived(key: str) -> bytes:
    return HKDF(SHA512(), length=64, salt=None, info=b"recovery seals").derive(key.encode())
