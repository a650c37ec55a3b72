"""The `mneme` command: what is wrong is said in one line with status 1, and `replay` tells and mends."""

import asyncio
import os
import re
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

import app.replay_command
from app.cli import app as command
from app.memories.device import Device
from app.memories.memories import Memories
from app.memories.messages import Draft
from app.store.database import Database
from app.store.migration import migrate
from app.store.tables import memories, slots
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory

MNEME = (sys.executable, "-c", "import sys; sys.argv[0] = 'mneme'; from app.cli import main; main()")
PROJECT = Path(__file__).parent.parent


def mneme(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(PROJECT),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "GENERATOR": "tiny",
        "DATABASE_URL": f"sqlite:///{folder}/mneme.db",
        **settings,
    }
    return subprocess.run(
        [*MNEME, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def complaint(ended: subprocess.CompletedProcess[str]) -> str:
    """The one line that tells what is wrong."""
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    lines = ended.stderr.strip().splitlines()
    assert all(line.startswith("mneme: ") for line in lines), ended.stderr
    progress = ("…", "stored, weights", "open to everybody")
    assert all(any(part in line for part in progress) for line in lines[:-1]), ended.stderr
    return lines[-1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "70000"),
        ("DATABASE_URL", "mysql://localhost/mneme"),
        ("GENERATOR", "/nope/model.gguf"),
        ("GENERATOR_URL", "localhost:8080"),
        ("SLOTS", "3"),
        ("TEMPERATURE", "nan"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(tmp_path: Path, name: str, value: str) -> None:
    ended = mneme(tmp_path, "serve", **{name: value})
    assert name in complaint(ended)
    assert len(ended.stderr.splitlines()) == 1


def test_a_wrong_setting_in_the_env_file_is_named_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("HISTORY=many\n")
    assert "HISTORY" in complaint(mneme(tmp_path, "serve"))


def test_without_a_command_there_is_a_list_of_them(tmp_path: Path) -> None:
    ended = mneme(tmp_path)
    assert all(name in ended.stdout + ended.stderr for name in ("serve", "migrate", "chat", "replay", "version"))
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", mneme(tmp_path, "version").stdout)


@pytest.mark.slow
def test_what_keeps_the_server_from_starting_is_told_in_one_line(tmp_path: Path) -> None:
    assert "mneme migrate" in complaint(mneme(tmp_path, "serve"))
    assert "database" in complaint(mneme(tmp_path, "serve", DATABASE_URL="postgresql://mneme:pw@127.0.0.1:9/mneme"))
    assert mneme(tmp_path, "migrate").returncode == 0

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = complaint(mneme(tmp_path, "serve", PORT=str(port), GENERATOR_URL="http://127.0.0.1:9/v1"))
    assert str(port) in line


@pytest.mark.slow
def test_a_damaged_model_file_is_named_in_one_line(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF" + b"\x07" * 4096)
    assert mneme(tmp_path, "migrate").returncode == 0
    assert str(model) in complaint(mneme(tmp_path, "serve", GENERATOR=str(model)))


def test_a_chat_without_a_server_says_so_and_goes_on(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)}
    ended = subprocess.run(
        [*MNEME, "chat", "--url", "http://127.0.0.1:9"],
        cwd=tmp_path, env=environment, input="Hello there.\n/quit\n", capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ended.returncode == 0
    assert "no server at http://127.0.0.1:9" in ended.stdout.replace("\n", " ")
    assert "Traceback" not in ended.stderr


# --- replay: in this process, so that the encoder is loaded once ---


@pytest.fixture
def remembered(encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database with two users, as the commands find it. Its URL."""
    url = f"sqlite:///{tmp_path}/mneme.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setattr(
        app.replay_command, "open_device", lambda settings: Device(lambda: (encoder, EpisodicMemory(encoder)))
    )

    async def talk() -> None:
        await migrate(url)
        database, device = Database(url), Device(lambda: (encoder, EpisodicMemory(encoder)))
        of = Memories(database, device, slots=64, cache_bytes=2**20)
        now = datetime.now(UTC)
        for user in ("ada", "bob"):
            for text in ("My dog is called Biscuit.", "What is my dog called?"):
                await of.recall_and_store(user, Draft("user", text, "s1", now), k=4, history=2)
                await of.remember(user, [Draft("assistant", "I see.", "s1", now)])
        device.close()
        await database.close()

    asyncio.run(talk())
    yield url


def damage(url: str, user: str) -> None:
    """Changes a stored memory behind the log's back."""

    async def change() -> None:
        database = Database(url)
        async with database.writing() as connection:
            of = sa.select(memories.c.id).where(memories.c.owner_id == user).scalar_subquery()
            await connection.execute(sa.update(slots).where(slots.c.memory_id == of).values(strength=0.123))
        await database.close()

    asyncio.run(change())


def ran(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_replay_says_that_memories_agree_with_their_logs(remembered: str) -> None:
    for result in (ran("replay", "--all", "--check"), ran("replay", "--all")):
        assert result.exit_code == 0, result.output
        assert "[1/2] ada: 4 messages, the memory agrees with its log" in result.output
        assert "[2/2] bob: 4 messages, the memory agrees with its log" in result.output
        assert "now replayed" not in result.output


def test_replay_of_one_user_looks_at_no_other(remembered: str) -> None:
    damage(remembered, "bob")
    result = ran("replay", "--user", "ada", "--check")
    assert result.exit_code == 0, result.output
    assert "[1/1] ada" in result.output
    assert "bob" not in result.output


def test_a_check_finds_a_damaged_memory_and_leaves_it(remembered: str) -> None:
    damage(remembered, "bob")
    for _ in range(2):
        result = ran("replay", "--all", "--check")
        assert result.exit_code == 1
        assert "bob: 4 messages, the memory DIFFERS from its log: strength" in result.output
        assert "ada: 4 messages, the memory agrees" in result.output


def test_a_replay_mends_a_damaged_memory(remembered: str) -> None:
    damage(remembered, "bob")
    result = ran("replay", "--all")
    assert result.exit_code == 0
    assert "now replayed" in result.output
    assert ran("replay", "--all", "--check").exit_code == 0


def test_a_user_who_cannot_be_replayed_is_told_with_the_reason_and_the_others_are_mended(remembered: str) -> None:
    damage(remembered, "bob")
    with sqlite3.connect(remembered.removeprefix("sqlite:///")) as raw:
        [memory] = raw.execute("SELECT id FROM memories WHERE owner_id = 'ada'").fetchone()
        raw.execute("UPDATE messages SET occurred_at = 'garbage' WHERE seq = 2 AND memory_id = ?", [memory])
    for arguments in (["--check"], []):
        result = ran("replay", "--all", *arguments)
        assert result.exit_code == 1
        assert "[1/2] ada: CANNOT be replayed: a message cannot be read" in result.output
        assert "bob: 4 messages, the memory DIFFERS" in result.output
        assert "Traceback" not in result.output
    again = ran("replay", "--all", "--check")
    assert again.exit_code == 1
    assert "[2/2] bob: 4 messages, the memory agrees with its log" in again.output


def test_a_memory_of_other_weights_fails_the_check_until_it_is_replayed(remembered: str) -> None:
    async def change() -> None:
        database = Database(remembered)
        async with database.writing() as connection:
            await connection.execute(sa.update(memories).values(fingerprint="other"))
        await database.close()

    asyncio.run(change())
    checked = ran("replay", "--all", "--check")
    assert checked.exit_code == 1
    assert "was written by other weights" in checked.output
    assert ran("replay", "--all").exit_code == 0
    assert ran("replay", "--all", "--check").exit_code == 0


def test_replay_wants_to_know_whose(remembered: str) -> None:
    for arguments in ([], ["--all", "--user", "ada"]):
        result = ran("replay", *arguments)
        assert result.exit_code == 1
        assert "either --user or --all" in result.output


def test_replay_of_nobody_is_an_error(remembered: str) -> None:
    result = ran("replay", "--user", "nobody")
    assert result.exit_code == 1
    assert "no user nobody" in result.output


def test_a_key_is_made_listed_and_revoked_at_the_command_line(tmp_path: Path) -> None:
    mneme(tmp_path, "migrate")
    made = mneme(tmp_path, "keys", "create", "the shop", "--scope", "user:ada", "--expires", "90d")
    assert re.fullmatch(r"mneme_[A-Za-z0-9_-]{43}\n", made.stdout), made.stderr
    listed = mneme(tmp_path, "keys", "list").stdout
    assert made.stdout.strip() not in listed
    line = r"^[0-9a-f]{16}  mneme_.{6}…  user:ada  the shop  \(valid, expires .*, never used\)$"
    assert re.search(line, listed, re.MULTILINE)
    assert mneme(tmp_path, "keys", "revoke", listed.split()[0]).returncode == 0
    assert "(revoked" in mneme(tmp_path, "keys", "list").stdout
    assert complaint(mneme(tmp_path, "keys", "revoke", "nothing")) == "mneme: no key nothing"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("a", "--scope", "root"), "--scope root: the scope must be admin, service or user:ID"),
        (("a", "--scope", "admin", "--expires", "soon"), "--expires soon: write a number of days or hours"),
        (("", "--scope", "admin"), "NAME must be 1 to 128 printable characters"),
    ],
)
def test_a_key_that_cannot_be_meant_is_one_line(
    arguments: tuple[str, ...], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(command, ["keys", "create", *arguments])
    assert ended.exit_code == 1
    assert line in ended.stderr


def test_on_an_address_that_others_reach_it_starts_only_with_a_key(tmp_path: Path) -> None:
    mneme(tmp_path, "migrate")
    said = complaint(mneme(tmp_path, "serve", HOST="0.0.0.0", PORT="0"))
    assert "HOST=0.0.0.0 can be reached from elsewhere and no key was made: run `mneme keys create" in said
