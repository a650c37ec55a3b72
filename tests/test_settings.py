"""The settings: `.env.example` says what the code does, and a wrong value is one line that helps."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError, load
from app.store.database import driver_url

EXAMPLE = Path(__file__).parent.parent / ".env.example"
FOR_COMPOSE = {"POSTGRES_PASSWORD", "MNEME_PORT", "TORCH_INDEX", "MODEL"}


def listed() -> dict[str, str]:
    """The names and values in `.env.example`, commented out or not."""
    return dict(re.findall(r"^(?:# )?([A-Z][A-Z_]+)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.fixture(autouse=True)
def a_bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_example_lists_every_setting_and_no_other() -> None:
    assert set(listed()) - FOR_COMPOSE == {name.upper() for name in Settings.model_fields}


def test_the_example_shows_the_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in listed().items()))
    assert load() == Settings.model_construct()


def test_the_example_as_it_is_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(EXAMPLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert load() == Settings.model_construct()


def test_every_setting_in_the_example_is_explained() -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    for before, line in pairwise(lines):
        if re.match(r"(# )?[A-Z][A-Z_]+=", line):
            assert re.match(r"# \S.*[^=]$", before), f"no explanation above {line!r}"


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite+aiosqlite:///here.db", "sqlite+aiosqlite"),
        ("sqlite:///here.db", "sqlite+aiosqlite"),
        ("postgres://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg"),
        ("postgresql+psycopg2://u:p@h/d", "postgresql+asyncpg"),
    ],
)
def test_a_database_may_be_named_as_sqlalchemy_or_a_host_names_it(
    url: str, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert driver_url(load().database_url).drivername == driver


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("PORT=8001\nSLOTS=64\n")
    monkeypatch.setenv("PORT", "8002")
    settings = load()
    assert (settings.port, settings.slots) == (8002, 64)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("PORT", "eighty", "valid integer"),
        ("PORT", "65536", "less than or equal to 65535"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("DATABASE_URL", "mysql://here", "must start with sqlite:/// or postgresql://"),
        ("DEVICE", "tpu", "'auto', 'cpu' or 'cuda'"),
        ("SLOTS", "1", "greater than or equal to 16"),
        ("GENERATOR", "no/such/model.gguf", "no such file: no/such/model.gguf"),
        ("GENERATOR_URL", "localhost:11434", "must start with http:// or https://"),
        ("GENERATOR_TIMEOUT", "0", "greater than 0"),
        ("TEMPERATURE", "3", "less than or equal to 2"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_setting(
    name: str, value: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load()
    line = str(caught.value)
    assert line.startswith(f"{name}: ")
    assert why in line
    assert "\n" not in line


def test_the_key_and_the_database_password_never_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENERATOR_API_KEY", "sk-hidden")
    assert "sk-hidden" not in repr(load())
    monkeypatch.setenv("DATABASE_URL", "mysql://mneme:pw-hidden@db/mneme")
    with pytest.raises(SettingsError) as caught:
        load()
    assert "pw-hidden" not in str(caught.value)
