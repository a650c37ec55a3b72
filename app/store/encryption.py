"""Encryption at rest: what of a row says anything of what was said is sealed as one value, under its memory's key.

Each memory has a random key, which is kept wrapped by the operator's (`ENCRYPTION_KEY`). A sealed row has the values of
`SEALED` in its column `sealed`, encrypted by AES-256-GCM under a fresh random nonce; their own columns are empty. The
associated data names the table, the memory and the row, and the values stand in a fixed order within, so that nothing
sealed can be read in another place. What queries look up by equality (`NAMED`) stands as a keyed hash.

The functions of the store that turn rows into values and back call `cipher_of` and `opened`; nobody else knows of it.
A process with a key takes no row that is not sealed, one without a key none that is.
"""

import hashlib
import hmac
import json
import os
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy.ext.asyncio import AsyncConnection

from app.store.operator_key import KEY_BYTES
from app.store.rows import DamagedRow
from app.store.sqlite_file import StoreUnusable
from app.store.tables import access_secrets, memories, memory_keys, messages, reads, sessions, slots, words

Row = dict[str, Any]

# Everything that is made of a text or by one. In the clear stay what rows are found and joined by: ids of memories and
# messages, numbers of messages and slots, times, roles, counts.
SEALED: Final[dict[sa.Table, tuple[str, ...]]] = {
    memories: ("precedence", "last_read", "checksum"),
    sessions: ("id", "title"),
    messages: ("content", "session_id", "external_id", "speaker", "name", "metadata", "parsed"),
    slots: (
        "part", "touched", "usage", "strength", "reads", "links", "said_at", "feature_bits", "standing",
        "event_from", "event_to", "foreign_share", "checksum",
    ),
    words: ("word", "token_ids", "speaker_tokens", "sentence", "meaning", "checksum"),
    reads: ("weight", "content", "forward", "backward", "standing"),
}  # fmt: skip
NAMED: Final[dict[sa.Table, tuple[str, ...]]] = {messages: ("session_id", "external_id"), sessions: ("id",)}
PIN: Final = "encryption"  # the row of `access_secrets` by which an encrypted database knows its operator's key
_NONCE_BYTES = 12
_ID_BYTES = 8
_PINNED = b"this database is encrypted"
_MOST_CIPHERS = 10_000


class KeyMissing(StoreUnusable):
    """What is stored is encrypted under a key that this process lacks, or is not while this process has a key."""


class NoKey(KeyMissing):
    """A memory has no key where it should have one."""


class KeyRing:
    """The operator's keys of 32 bytes; the first wraps, all unwrap. It never shows them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise ValueError(f"a key has {KEY_BYTES} bytes")
        self._keys = {_derived(key, b"id")[:_ID_BYTES].hex(): AESGCM(_derived(key, b"wrap")) for key in keys}
        self.first = next(iter(self._keys))

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    def wrap(self, memory_id: str, key: bytes) -> Row:
        """A row of `memory_keys`."""
        wrapped = _encrypt(self._keys[self.first], key, f"memory\0{memory_id}".encode())
        return {"memory_id": memory_id, "wrapped": wrapped, "wrapped_by": self.first}

    def unwrap(self, memory_id: str, wrapped: bytes, wrapped_by: str) -> bytes:
        """A memory's key.

        Raises:
            KeyMissing: another operator's key wrapped it.
            DamagedRow: it is not what was stored.
        """
        if wrapped_by not in self._keys:
            raise KeyMissing("a memory's key is wrapped by a key that ENCRYPTION_KEY does not have")
        try:
            return _decrypt(self._keys[wrapped_by], wrapped, f"memory\0{memory_id}".encode())
        except ValueError:
            raise DamagedRow("a memory's key cannot be read: restore a backup, see docs/operations.md") from None

    def pin(self) -> bytes:
        """What `holds` knows the first key by."""
        return bytes.fromhex(self.first) + _encrypt(self._keys[self.first], _PINNED, b"pin")

    def holds(self, pin: bytes) -> bool:
        """Whether the pin was made by one of these keys."""
        try:
            cipher = self._keys.get(pin[:_ID_BYTES].hex())
            return cipher is not None and _decrypt(cipher, pin[_ID_BYTES:], b"pin") == _PINNED
        except (ValueError, AttributeError):  # a text in its place has no `hex`
            return False


class RowCipher:
    """Seals and opens the rows of one memory."""

    def __init__(self, memory_id: str, key: bytes) -> None:
        self._memory_id = memory_id
        self._cipher, self._names = AESGCM(_derived(key, b"rows")), _derived(key, b"names")

    def name(self, value: str) -> str:
        """What stands in place of a value that is looked up by equality."""
        return hmac.digest(self._names, value.encode(), "sha256")[:16].hex()

    def seal(self, table: sa.Table, row: Mapping[str, Any]) -> Row:
        """The row as it is stored; a value that it lacks counts as null."""
        names, blank = SEALED[table], _BLANK[table]
        hashed = {name: self.name(row[name]) for name in NAMED.get(table, ()) if row.get(name) is not None}
        stored = {**row, **{name: blank[name] for name in names if name in row}, **hashed}
        stored["sealed"] = _encrypt(
            self._cipher, _packed([row.get(name) for name in names]), self._place(table, stored)
        )
        return stored

    def open(self, table: sa.Table, row: Mapping[str, Any]) -> Row:
        """The row as it was before it was sealed, as far as it has its columns.

        Raises:
            ValueError: it was not sealed, is damaged, or was sealed in another place.
        """
        if row["sealed"] is None:
            raise ValueError("not sealed")
        values = _unpacked(_decrypt(self._cipher, row["sealed"], self._place(table, row)))
        return {**row, **{name: value for name, value in zip(SEALED[table], values, strict=True) if name in row}}

    def _place(self, table: sa.Table, row: Mapping[str, Any]) -> bytes:
        keys = (str(row[name]) for name in _KEYS[table])
        return "\0".join((table.name, self._memory_id, *keys)).encode()


class Vault:
    """The keys that a process has: the operator's, and those of the memories that it used lately.

    Args:
        ring: None where nothing is encrypted.
    """

    def __init__(self, ring: KeyRing | None) -> None:
        self.ring = ring
        self._known: OrderedDict[str, tuple[bytes, RowCipher]] = OrderedDict()

    def cipher(self, memory_id: str, wrapped: bytes | None, wrapped_by: str | None) -> RowCipher | None:
        """The cipher of a memory with that row of `memory_keys`; None where neither is encrypted.

        Raises:
            KeyMissing: one of the two is.
            DamagedRow: the key cannot be read.
        """
        if self.ring is None:
            if wrapped is not None:
                raise KeyMissing("the memory is encrypted: set ENCRYPTION_KEY")
            return None
        if wrapped is None or wrapped_by is None:
            raise NoKey("the memory has no key: run `mneme encryption on`, or restore a backup")
        known = self._known.get(memory_id)
        if known is None or known[0] != wrapped:
            known = wrapped, RowCipher(memory_id, self.ring.unwrap(memory_id, wrapped, wrapped_by))
            self._known[memory_id] = known
            if len(self._known) > _MOST_CIPHERS:
                self._known.popitem(last=False)
        self._known.move_to_end(memory_id)
        return known[1]

    def known(self, memory_id: str) -> RowCipher | None:
        """The cipher of a memory that was used lately."""
        found = self._known.get(memory_id)
        return found and found[1]

    def fresh(self, memory_id: str) -> tuple[RowCipher, Row]:
        """A memory's cipher under a new key, and that key as a row of `memory_keys`."""
        assert self.ring is not None
        row = self.ring.wrap(memory_id, os.urandom(KEY_BYTES))
        cipher = self.cipher(memory_id, row["wrapped"], row["wrapped_by"])
        assert cipher is not None
        return cipher, row


_KEY_OF = sa.select(memory_keys.c.wrapped, memory_keys.c.wrapped_by).where(
    memory_keys.c.memory_id == sa.bindparam("memory")
)
_PIN = sa.select(access_secrets.c.value).where(access_secrets.c.name == PIN)


def vault_of(connection: AsyncConnection) -> Vault:
    """The vault of the database that a connection is to."""
    vault: Vault = connection.sync_engine.get_execution_options()["vault"]
    return vault


async def pin_of(connection: AsyncConnection) -> bytes | None:
    """What the database knows its operator's key by; None where it is not encrypted."""
    pin: bytes | None = await connection.scalar(_PIN)
    return pin


async def cipher_of(connection: AsyncConnection, memory_id: str) -> RowCipher | None:
    """The cipher that a memory's rows are sealed with; None where this process encrypts nothing.

    Raises:
        KeyMissing: this process has a key and the memory none, or one that another key wrapped.
    """
    vault = vault_of(connection)
    if vault.ring is None:
        return None
    return vault.known(memory_id) or await _asked(connection, vault, memory_id)


async def cipher_if_begun(connection: AsyncConnection, memory_id: str) -> RowCipher | None:
    """As `cipher_of`; None too for a memory without a key, such as one that is not begun yet."""
    try:
        return await cipher_of(connection, memory_id)
    except NoKey:
        return None


async def opened(
    connection: AsyncConnection, memory_id: str, table: sa.Table, found: Iterable[sa.RowMapping | Row]
) -> list[Row]:
    """Rows as they were before they were sealed, without the column `sealed`, which they must have.

    Raises:
        ValueError: one is damaged, was sealed in another place, or not sealed where it should be.
        KeyMissing: they are sealed under a key that this process does not have.
    """
    rows: list[Row] = [{**row} for row in found]
    if rows:
        cipher = await cipher_of(connection, memory_id)
        if cipher is not None:
            rows = [cipher.open(table, row) for row in rows]
        elif any(row["sealed"] is not None for row in rows):
            raise KeyMissing("the memory is encrypted: set ENCRYPTION_KEY")
    for row in rows:
        del row["sealed"]
    return rows


async def begun(connection: AsyncConnection, memory_id: str) -> tuple[RowCipher | None, Row | None]:
    """The cipher of a memory that begins, and its row of `memory_keys`; two times None where nothing is encrypted.

    Raises:
        KeyMissing: this process has a key and the database is not encrypted under it, or the other way round.
    """
    vault, pin = vault_of(connection), await pin_of(connection)
    if vault.ring is None:
        if pin is not None:
            raise KeyMissing("the database is encrypted: set ENCRYPTION_KEY")
        return None, None
    if pin is None or not vault.ring.holds(pin):
        raise KeyMissing("the database is not encrypted under this ENCRYPTION_KEY")
    return vault.fresh(memory_id)


async def _asked(connection: AsyncConnection, vault: Vault, memory_id: str) -> RowCipher | None:
    row = (await connection.execute(_KEY_OF, {"memory": memory_id})).one_or_none()
    return vault.cipher(memory_id, *(row or (None, None)))


def _blank(column: "sa.Column[Any]") -> Any:
    if column.nullable:
        return None
    if isinstance(column.type, sa.JSON):
        return {}
    return column.type.python_type()


_BLANK = {table: {name: _blank(table.c[name]) for name in names} for table, names in SEALED.items()}
_KEYS = {table: [key.name for key in table.primary_key if key.name != "memory_id"] for table in SEALED}


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"mneme " + purpose, hashlib.sha256)


def _encrypt(cipher: AESGCM, plain: bytes, place: bytes) -> bytes:
    nonce = os.urandom(_NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, place)


def _decrypt(cipher: AESGCM, sealed: bytes, place: bytes) -> bytes:
    try:
        return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], place)
    except (InvalidTag, TypeError):  # SQLite keeps numbers and texts in any column
        raise ValueError("not what was sealed here") from None


def _packed(values: Sequence[Any]) -> bytes:
    """A length in four bytes, values as JSON with the lengths of bytes in their places, then the bytes."""
    parts = [value for value in values if isinstance(value, bytes)]
    head = json.dumps([[len(value)] if isinstance(value, bytes) else value for value in values]).encode()
    return b"".join((len(head).to_bytes(4, "little"), head, *parts))


def _unpacked(packed: bytes) -> list[Any]:
    end = 4 + int.from_bytes(packed[:4], "little")
    values = json.loads(packed[4:end])
    for place, value in enumerate(values):
        if isinstance(value, list):  # no column holds a list
            values[place] = packed[end : end + value[0]]
            end += value[0]
    return values  # type: ignore[no-any-return]
