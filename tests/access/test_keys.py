"""Keys: what is stored of them, whom they open the service to, and until when."""

import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import sqlalchemy as sa

from app.access.caller import ANYBODY, BadScope, Caller, Grant
from app.access.credentials import is_key, new_key
from app.access.keys import BadCredential, CannotMint, Keys, NoSuchKey
from app.store.database import Database
from app.store.migration import migrate
from app.store.tables import access_keys


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    url = f"sqlite:///{tmp_path}/mneme.db"
    await migrate(url)
    database = Database(url)
    yield database
    await database.close()


@pytest.fixture
def keys(database: Database) -> Keys:
    return Keys(database)


async def test_only_a_hash_of_a_key_is_stored(keys: Keys, database: Database) -> None:
    made = await keys.create("shop", Grant("service"))
    assert re.fullmatch(r"mneme_[A-Za-z0-9_-]{43}", made.key)
    async with database.reading() as connection:
        (row,) = (await connection.execute(sa.select(access_keys))).mappings().all()
    kept = " ".join(str(value) for value in row.values())
    assert made.key not in kept
    assert made.key[13:] not in kept
    assert made.key.startswith(row["prefix"])


def test_no_two_keys_are_alike() -> None:
    assert len({new_key() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("scope", ["admin", "service", "user:ada", "user:a:b@c.d-e_f"])
async def test_a_key_gives_what_it_was_made_for(keys: Keys, scope: str) -> None:
    made = await keys.create("one", Grant.parse(scope))
    caller = await keys.caller(made.key)
    assert str(caller.grant) == scope
    assert caller.key_id == made.stored.id


@pytest.mark.parametrize("scope", ["", "root", "user", "user:", "user:a b", "user:..", "Admin", "user:" + "a" * 129])
def test_a_scope_that_is_none_is_refused(scope: str) -> None:
    with pytest.raises(BadScope, match="admin, service or user:ID"):
        Grant.parse(scope)


@pytest.mark.parametrize(
    "other", ["Ada", "ada ", " ada", "adа", "ada\n", "ada%00", "", "ADA", "ada.", "service", "admin"]
)
def test_a_user_s_grant_covers_that_user_alone(other: str) -> None:
    assert Grant("user", "ada").covers("ada")
    assert not Grant("user", "ada").covers(other)


async def test_a_revoked_or_expired_key_opens_nothing(keys: Keys) -> None:
    expired = await keys.create("short", Grant("admin"), timedelta(0))
    with pytest.raises(BadCredential):
        await keys.caller(expired.key)
    made = await keys.create("one", Grant("admin"))
    await keys.caller(made.key)
    await keys.revoke(made.stored.id)
    with pytest.raises(BadCredential):
        await keys.caller(made.key)
    with pytest.raises(NoSuchKey):
        await keys.revoke("nothing")


async def test_another_process_s_revocation_counts_within_a_second(
    keys: Keys, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await keys.create("one", Grant("admin"))
    await keys.caller(made.key)
    await Keys(database).revoke(made.stored.id)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 1.01)
    with pytest.raises(BadCredential):
        await keys.caller(made.key)


async def test_a_service_that_had_a_key_stays_closed(keys: Keys, database: Database) -> None:
    assert not await keys.is_any_made()
    made = await keys.create("one", Grant("admin"))
    await keys.revoke(made.stored.id)
    assert await keys.is_any_made()
    assert await Keys(database).is_any_made()


async def test_every_process_takes_the_tokens_of_every_other(keys: Keys, database: Database) -> None:
    made = await keys.create("one", Grant("service"))
    token = await keys.mint(await keys.caller(made.key), "ada", timedelta(minutes=1))
    caller = await Keys(database).caller(token)
    assert (caller.grant, caller.key_id, caller.by_token) == (Grant("user", "ada"), made.stored.id, True)


@pytest.mark.parametrize("grant", [Grant("user", "ada"), None])
async def test_only_a_service_key_itself_mints_tokens(keys: Keys, grant: Grant | None) -> None:
    callers = [ANYBODY, Caller(Grant("service"), "a", by_token=True)]
    if grant is not None:
        callers.append(await keys.caller((await keys.create("one", grant)).key))
    for caller in callers:
        with pytest.raises(CannotMint):
            await keys.mint(caller, "ada", timedelta(minutes=1))


@pytest.mark.parametrize("algorithm", ["none", "HS512"])
async def test_a_token_signed_in_another_way_is_refused(keys: Keys, algorithm: str) -> None:
    made = await keys.create("one", Grant("service"))
    claims = {"sub": "ada", "key": made.stored.id, "aud": "mneme", "iat": datetime.now(UTC)}
    claims["exp"] = datetime.now(UTC) + timedelta(minutes=1)
    secret: Any = None if algorithm == "none" else b"x" * 64
    with pytest.raises(BadCredential):
        await keys.caller(jwt.encode(claims, secret, algorithm))


async def test_the_settings_key_is_valid_until_another_takes_its_place(keys: Keys, database: Database) -> None:
    first, second = "mneme_" + "a" * 64, "mneme_" + "b" * 64
    assert is_key(first)
    await keys.install(first)
    await keys.install(first)
    assert (await keys.caller(first)).grant.is_admin()
    again = Keys(database)
    await again.install(second)
    assert (await again.caller(second)).grant.is_admin()
    with pytest.raises(BadCredential):
        await again.caller(first)
    assert len(await again.all()) == 1
