"""What leaves the house without being readable: sealed texts for links and return paths, pseudonyms for addresses."""

from base64 import b32decode, b32encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from hashlib import blake2b, sha512

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA512
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recovery.checkout import formerly_normalised, normalised

PSEUDONYM_BYTES = 16
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


class Pseudonyms:
    """Keyed hashes that stand for addresses, so that a list of those who want no mail is no list of addresses.

    The first key, the newest, makes new ones. All of them find, and so does the empty key, which stands for none: a key
    that is added later loses nobody. Addresses are hashed as `recovery.checkout.normalised` has them.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._hashes = [
            blake2b(key=sha512(key.encode()).digest(), digest_size=PSEUDONYM_BYTES)
            for key in dict.fromkeys([*keys, ""])
        ]

    def of(self, address: str) -> str:
        """Return the pseudonym by the newest key: 32 hexadecimal digits."""
        return self.all(address)[0]

    def all(self, address: str) -> tuple[str, ...]:
        """Return the pseudonyms that the address is kept under, by the newest key first."""
        return self._hashed(normalised(address))

    def also(self, address: str) -> tuple[str, ...]:
        """Return `all`, and those that former versions kept it under: somebody else may be kept under these, too.

        They are for not writing to an address, and for nothing else.
        """
        former, now = formerly_normalised(address), normalised(address)
        return self._hashed(now) if former == now else (*self._hashed(now), *self._hashed(former))

    def _hashed(self, normal: str) -> tuple[str, ...]:
        written = normal.encode("utf-8", "surrogatepass")
        found = []
        for keyed in self._hashes:
            hashing = keyed.copy()
            hashing.update(written)
            found.append(hashing.hexdigest())
        return tuple(found)


def _derived(key: str) -> bytes:
    return HKDF(SHA512(), length=64, salt=None, info=b"recovery seals").derive(key.encode())
