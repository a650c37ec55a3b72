"""Random damage to what is stored: no server error, no silent other answer, and a replay mends a memory's state."""

import os
from pathlib import Path

import httpx
import pytest

from benchmarks.damage import Patient
from benchmarks.scripted_model import ScriptedModel
from tests.api.conftest import started

DAMAGES = int(os.environ.get("MNEME_DAMAGES", "60"))  # `make fuzz` takes more


@pytest.mark.parametrize("encryption_key", [None, "5a" * 32], ids=["plain", "encrypted"])
async def test_damaged_cells_give_the_same_answer_or_503_and_are_mended(
    one_encoder: None, tmp_path: Path, encryption_key: str | None
) -> None:
    file = tmp_path / "mneme.db"
    chosen = {"database_url": f"sqlite:///{file}", "encryption_key": encryption_key, "slots": 64, "audit_days": 0}
    async with ScriptedModel() as model, started(model, **chosen) as service:
        transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://mneme") as client:
            patient = Patient(service.app, client, file)
            await patient.begin()
            outcome = await patient.fuzz(DAMAGES, seed=5)
    assert outcome.good, "\n".join(outcome.lines())
    assert outcome.damages == DAMAGES
    assert outcome.replies["503"] > DAMAGES / 2, "damage is told"
    lost = ("memory_members", "users", "memories.owner_id", "memories.id", "memories.name", "memories.version")
    assert [one for one in outcome.unmended if not one.startswith(lost)] == []
    assert outcome.mended
