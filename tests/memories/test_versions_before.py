"""A database of a version before: it migrates, serves and replays, and nothing that was in it is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from app.memories.replay import replay
from app.store.database import Database
from app.store.migration import check, migrate
from app.store.tables import memories
from tests.memories.conftest import Another
from tests.memories.histories import History, assert_whole, said
from tests.store.contents import Tables, tables

NEW = {
    "messages": ("utc_offset", "name", "metadata", "parsed", "sealed"),
    "slots": ("standing", "event_from", "event_to", "foreign_share", "checksum", "sealed"),
    "words": ("sentence", "meaning", "checksum", "sealed"),
    "reads": ("standing", "sealed"),
    "sessions": ("title", "sealed"),
}


@pytest.fixture
async def database_url(empty_url: str) -> str:
    """A database whose schema a test may change."""
    await migrate(empty_url)
    return empty_url


async def down_to(database: Database, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parents[2] / "migrations"))

    def down(connection: sa.Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)

    async with database.writing() as connection:
        await connection.run_sync(down)


def known_before(everything: Tables, owner: Callable[[str], str]) -> Tables:
    """What the version before knows of, each row by its user."""
    return {
        name: sorted(
            (
                {"user_id": owner(row["memory_id"])} | {k: v for k, v in row.items() if k not in NEW.get(name, ())}
                for row in rows
            ),
            key=repr,
        )
        for name, rows in everything.items()
        if rows and "memory_id" in rows[0] and name != "memory_members"
    }


async def test_a_database_of_the_version_before_migrates_replays_and_serves(another: Another) -> None:
    of = another()
    for seed, user in enumerate(("ada", "bob")):
        history = History(of, user, seed=91 + seed, forgets=False)
        await history.go_on(8)
        await history.forget_any()
    whole = await tables(of.database)
    owners = {row["id"]: row["owner_id"] for row in whole["memories"]}

    await down_to(of.database, "0005")
    old = await tables(another().database)
    assert {(row["user_id"], row["incarnation"]) for row in old["memories"]} == {(u, m) for m, u in owners.items()}
    expected = known_before(whole, owners.__getitem__)
    assert len(expected) == 6
    for name, rows in expected.items():
        kept = [{k: v for k, v in row.items() if k != "memory_id"} for row in rows]
        assert sorted(kept, key=lambda row: repr(sorted(row.items()))) == sorted(
            old[name], key=lambda row: repr(sorted(row.items()))
        )

    await migrate(of.database.url.render_as_string(hide_password=False))
    served = another()
    await check(served.database)
    again = await tables(served.database)
    assert {name: len(rows) for name, rows in again.items()} == {name: len(rows) for name, rows in whole.items()}
    assert again["memory_members"] == whole["memory_members"]
    assert all(row["metadata"] in ({}, "{}") and row["parsed"] is None for row in again["messages"])
    async with served.database.writing() as connection:  # other weights wrote it: a version's fingerprint is its own
        await connection.execute(memories.update().values(fingerprint="before"))
    for user in ("ada", "bob"):
        done = await replay(served.database, served.device, user, write=True)
        assert done is not None and done.foreign and done.written
        await assert_whole(served, user)
        await served.remember(user, [said("a river")])
        assert (await served.recall(user, "a river", 3)).recollections
        await assert_whole(served, user)
