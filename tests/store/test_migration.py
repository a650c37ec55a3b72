"""Migrations: they give the schema that the code knows, once, and refuse what they do not know."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.store import users
from app.store.database import Database
from app.store.migration import SchemaError, check, migrate
from app.store.tables import metadata
from tests.store.contents import tables

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def database_url(empty_url: str) -> str:
    """A database whose schema a test may change."""
    await migrate(empty_url)
    return empty_url


@pytest.fixture
def config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "migrations"))
    return config


async def test_a_fresh_database_has_the_schema_of_the_code(database: Database) -> None:
    async with database.reading() as connection:
        found = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync, opts={"compare_type": True}), metadata)
        )
    assert found == []


async def test_every_constraint_of_the_code_is_in_a_fresh_database(database: Database) -> None:
    def described(connection: sa.Connection) -> dict[str, object]:
        seen = sa.inspect(connection)
        return {
            name: (
                seen.get_pk_constraint(name)["constrained_columns"],
                [
                    (key["constrained_columns"], key["referred_table"], key["referred_columns"], key["options"])
                    for key in seen.get_foreign_keys(name)
                ],
                sorted((one["name"] or "", one["column_names"]) for one in seen.get_unique_constraints(name)),
                [(column["name"], column["nullable"]) for column in seen.get_columns(name)],
            )
            for name in sorted(metadata.tables)
        }

    async with database.writing() as connection:
        migrated = await connection.run_sync(described)
        await connection.run_sync(metadata.drop_all)
        await connection.run_sync(metadata.create_all)
        assert migrated == await connection.run_sync(described)


async def test_migrating_down_leaves_nothing_and_up_again_gives_the_schema(
    database: Database, database_url: str, config: Config
) -> None:
    def down(connection: sa.Connection) -> None:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")

    async with database.writing() as connection:
        await connection.run_sync(down)
    assert await tables(database) == {"alembic_version": []}
    await migrate(database_url)
    await check(database)
    await test_a_fresh_database_has_the_schema_of_the_code(database)


async def test_migrating_again_changes_nothing(database: Database, database_url: str, config: Config) -> None:
    async with database.writing() as connection:
        await users.add(connection, "ada", datetime.now(UTC))
    before = await tables(database)
    assert await migrate(database_url) == ScriptDirectory.from_config(config).get_current_head()
    assert await tables(database) == before


async def test_four_that_migrate_at_once_all_find_the_schema_made(empty_url: str) -> None:
    revisions = await asyncio.gather(*(migrate(empty_url) for _ in range(4)))
    assert len(set(revisions)) == 1
    await checked(empty_url)


async def test_four_processes_that_start_together_all_find_the_schema_made(empty_url: str) -> None:
    program = "import asyncio, sys; from app.store.migration import migrate; asyncio.run(migrate(sys.argv[1]))"
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, empty_url, cwd=ROOT, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    ended = await asyncio.gather(*(process.communicate() for process in started))
    assert [process.returncode for process in started] == [0] * 4, b"\n".join(told for _, told in ended).decode()
    await checked(empty_url)


async def test_a_schema_of_a_newer_version_is_refused_and_left_alone(database: Database, database_url: str) -> None:
    async with database.writing() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    before = await tables(database)
    with pytest.raises(SchemaError, match=r"schema 9999, which this version does not know: upgrade Mneme"):
        await migrate(database_url)
    with pytest.raises(SchemaError, match=r"schema 9999, this version needs \d{4}"):
        await check(database)
    assert await tables(database) == before


async def test_an_empty_database_is_refused_with_what_to_do(empty_url: str) -> None:
    database = Database(empty_url)
    try:
        with pytest.raises(SchemaError, match="run `mneme migrate`"):
            await check(database)
    finally:
        await database.close()


async def checked(url: str) -> None:
    database = Database(url)
    try:
        await check(database)
        await test_a_fresh_database_has_the_schema_of_the_code(database)
    finally:
        await database.close()
