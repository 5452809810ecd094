"""Pseudonyms: keyed hashes under which suppressed addresses are stored."""

from collections.abc import Sequence
from hashlib import blake2b, sha512

from recovery.domain.fields import formerly_normalised, normalised

PSEUDONYM_BYTES = 16


class Pseudonyms:
    """Keyed hashes of addresses, so that the suppression list contains no addresses.

    The first key, the newest, makes new pseudonyms. All keys are used to look up, and so is the empty key, which stands
    for none: adding a key later loses nobody. Addresses are hashed as `recovery.domain.fields.normalised` has them.
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
        """Return the pseudonyms under which the address may be stored, by the newest key first."""
        return self._hashed(normalised(address))

    def also(self, address: str) -> tuple[str, ...]:
        """Return `all`, and the pseudonyms of former versions, which another address may share.

        Use them only to decide against writing to an address.
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
