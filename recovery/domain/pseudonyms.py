"""Pseudonyms: what addresses are kept as that are not to be written to any more."""

from collections.abc import Sequence
from hashlib import blake2b, sha512

from recovery.domain.fields import formerly_normalised, normalised

PSEUDONYM_BYTES = 16


class Pseudonyms:
    """Keyed hashes that stand for addresses, so that a list of those who want no mail is no list of addresses.

    The first key, the newest, makes new ones. All of them find, and so does the empty key, which stands for none: a key
    that is added later loses nobody. Addresses are hashed as `recovery.domain.fields.normalised` has them.
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
