"""The throwaway PostgreSQL that the tests run against."""

import os
import re
import subprocess
from pathlib import Path

import asyncpg
import pytest

SCRIPT = Path(__file__).parent.parent.parent / "scripts" / "test-postgres"


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SCRIPT), "run", *command], env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_a_server_that_is_named_is_used_as_it_is() -> None:
    ended = run("sh", "-c", "echo $MNEME_TEST_POSTGRES_URL", MNEME_TEST_POSTGRES_URL="postgresql://somewhere/else")
    assert ended.stdout == "postgresql://somewhere/else\n"


@pytest.mark.postgres
@pytest.mark.skipif("MNEME_TEST_POSTGRES_URL" not in os.environ, reason="no PostgreSQL here")
async def test_a_server_is_there_for_the_command_and_gone_after_it() -> None:
    ended = run("sh", "-c", "echo $MNEME_TEST_POSTGRES_URL", MNEME_TEST_POSTGRES_URL="")
    assert ended.returncode == 0, ended.stderr
    url = ended.stdout.strip()
    assert url.startswith("postgresql://postgres@127.0.0.1:")
    with pytest.raises(OSError):
        await asyncpg.connect(url, timeout=5)
    (folder,) = re.findall(r" in (/tmp/mneme-postgres\.\w+)$", ended.stderr, re.MULTILINE)
    assert not Path(folder).exists()  # noqa: ASYNC240


@pytest.mark.postgres
@pytest.mark.skipif("MNEME_TEST_POSTGRES_URL" not in os.environ, reason="no PostgreSQL here")
def test_the_commands_own_exit_status_is_what_one_gets() -> None:
    assert run("sh", "-c", "exit 7").returncode == 7


@pytest.mark.postgres
@pytest.mark.skipif("MNEME_TEST_POSTGRES_URL" not in os.environ, reason="no PostgreSQL here")
async def test_databases_can_be_made_on_the_server() -> None:
    connection = await asyncpg.connect(os.environ["MNEME_TEST_POSTGRES_URL"])
    await connection.execute(f"CREATE DATABASE probe_{os.getpid()}")
    await connection.execute(f"DROP DATABASE probe_{os.getpid()}")
    await connection.close()
