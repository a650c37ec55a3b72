"""Keys: making them, knowing whose they are, revoking them; and the tokens that a key mints for one user.

What was found of a key holds for a second, so that a busy caller costs one query a second. A key that another process
revokes therefore works here for that long at most; one revoked here stops at once.
"""

import dataclasses
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import jwt

from app.access.caller import Caller, Grant, Scope
from app.access.credentials import hash_of, is_key, new_id, new_key, prefix_of
from app.store import keys as stored
from app.store.database import Database
from app.store.keys import StoredKey

_KEPT_SECONDS = 1.0
_MOST_KEPT = 10_000
_ALGORITHM = "HS256"
_AUDIENCE = "mneme"
_SIGNING = "tokens"
FROM_ENVIRONMENT = "environment"
"""The id of the key that the setting MNEME_ADMIN_KEY makes."""


class BadCredential(Exception):
    """A key or token that opens nothing: unknown, revoked, expired or forged. The message does not say which."""


class NoSuchKey(Exception):
    """There is no key of that id."""


class CannotMint(Exception):
    """This caller mints no tokens; the message says why."""


@dataclasses.dataclass(frozen=True)
class NewKey:
    """A key that was made, with its text, which nobody will see again."""

    key: str
    stored: StoredKey


class Keys:
    """Keys over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: OrderedDict[str, tuple[float, StoredKey | None]] = OrderedDict()
        self._made, self._made_asked = False, float("-inf")
        self._signing: bytes | None = None
        self.used: dict[str, datetime] = {}  # last uses that are not in the database yet; see `app.access.audit`

    async def create(self, name: str, grant: Grant, lifetime: timedelta | None = None) -> NewKey:
        """Makes a key."""
        key, now = new_key(), datetime.now(UTC)
        made = StoredKey(
            id=new_id(),
            name=name,
            prefix=prefix_of(key),
            scope=grant.scope,
            user_id=grant.user_id,
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
        )
        async with self._database.writing() as connection:
            await stored.add_key(connection, made, hash_of(key))
        self._made = True
        return NewKey(key, made)

    async def install(self, key: str) -> None:
        """Makes the admin key of the settings valid, and the one that stood there before invalid."""
        hashed = hash_of(key)
        async with self._database.reading() as connection:
            found = await stored.key_by_hash(connection, hashed)
        if found is not None and found.id == FROM_ENVIRONMENT and found.is_valid(datetime.now(UTC)):
            return
        made = StoredKey(
            id=FROM_ENVIRONMENT,
            name="MNEME_ADMIN_KEY",
            prefix=prefix_of(key),
            scope="admin",
            user_id=None,
            created_at=datetime.now(UTC),
        )
        async with self._database.writing() as connection:
            await stored.put_key(connection, made, hashed)

    async def all(self) -> list[StoredKey]:
        """Every key, revoked and expired ones too, with its last use as this process knows it."""
        used = dict(self.used)  # taken first: what is written while the keys are read is then in one of the two
        async with self._database.reading() as connection:
            found = await stored.all_keys(connection)
        return [dataclasses.replace(one, last_used_at=used.get(one.id, one.last_used_at)) for one in found]

    def are_kept(self, uses: Mapping[str, datetime]) -> None:
        """Takes note that these last uses are in the database now."""
        self.used = {one: at for one, at in self.used.items() if uses.get(one) != at}

    async def revoke(self, key_id: str) -> None:
        """Makes a key, and all tokens that it minted, invalid.

        Raises:
            NoSuchKey: there is none of that id.
        """
        async with self._database.writing() as connection:
            if not await stored.revoke_key(connection, key_id, datetime.now(UTC)):
                raise NoSuchKey(f"no key {key_id}")
        self._found.clear()

    async def is_any_made(self) -> bool:
        """Whether a key was ever made. A service that had one stays closed, even if all were revoked."""
        now = time.monotonic()
        if not self._made and now - self._made_asked > _KEPT_SECONDS:
            async with self._database.reading() as connection:
                self._made = await stored.is_any_key_made(connection)
            self._made_asked = now
        return self._made

    async def caller(self, credential: str) -> Caller:
        """Who shows this key or token.

        Raises:
            BadCredential: it is not valid.
        """
        if is_key(credential):
            key = await self._known("hash:" + hash_of(credential))
            if key is None:
                raise BadCredential("the key or token is not valid")
            self.used[key.id] = datetime.now(UTC)
            return Caller(_grant(key), key.id)
        return await self._bearer_of_token(credential)

    async def mint(self, by: Caller, user_id: str, lifetime: timedelta) -> str:
        """A token with which its holder is that user for a while.

        Raises:
            CannotMint: no key was shown, or a token instead of a key.
        """
        if by.key_id is None:
            raise CannotMint("a token is minted with a key, and none was made: run `mneme keys create`")
        if by.by_token or not by.grant.is_service():
            raise CannotMint("only a key of scope admin or service mints tokens")
        now = datetime.now(UTC)
        claims = {"sub": user_id, "key": by.key_id, "aud": _AUDIENCE, "iat": now, "exp": now + lifetime}
        return jwt.encode(claims, await self._secret(), _ALGORITHM)

    async def _bearer_of_token(self, token: str) -> Caller:
        wrong = BadCredential("the key or token is not valid")
        try:
            claims = jwt.decode(
                token,
                await self._secret(),
                [_ALGORITHM],
                audience=_AUDIENCE,
                options={"require": ["exp", "iat", "sub", "aud", "key"]},
            )
        except jwt.InvalidTokenError:
            raise wrong from None
        key = await self._known(f"id:{claims['key']}")
        if key is None or not _grant(key).is_service():
            raise wrong
        self.used[key.id] = datetime.now(UTC)
        return Caller(Grant("user", claims["sub"]), key.id, by_token=True)

    async def _known(self, name: str) -> StoredKey | None:
        """The valid key of that hash or id, as it was at most a second ago."""
        now = time.monotonic()
        asked, key = self._found.get(name, (float("-inf"), None))
        if now - asked > _KEPT_SECONDS:
            kind, _, value = name.partition(":")
            ask = stored.key_by_hash if kind == "hash" else stored.key_by_id
            async with self._database.reading() as connection:
                key = await ask(connection, value)
            self._found[name] = now, key
            self._found.move_to_end(name)
            if len(self._found) > _MOST_KEPT:
                self._found.popitem(last=False)
        return key if key is not None and key.is_valid(datetime.now(UTC)) else None

    async def _secret(self) -> bytes:
        if self._signing is None:
            async with self._database.writing() as connection:
                self._signing = await stored.shared_secret(connection, _SIGNING, secrets.token_bytes(32))
        return self._signing


def _grant(key: StoredKey) -> Grant:
    scope: Scope = key.scope  # type: ignore[assignment]  # only `create` and `install` write it
    return Grant(scope, key.user_id)
