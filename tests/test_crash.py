"""A few rounds of `make crash`: killed while it writes, the server keeps all that it acknowledged."""

import pytest

from benchmarks.crash import Result, crash, server_to_kill


@pytest.mark.slow
@pytest.mark.parametrize("encryption_key", ["", "5a" * 32], ids=["plain", "encrypted"])
async def test_killed_while_it_writes_the_server_keeps_all_that_it_acknowledged(
    monkeypatch: pytest.MonkeyPatch, encryption_key: str
) -> None:
    if encryption_key:
        monkeypatch.setenv("ENCRYPTION_KEY", encryption_key)
    async with server_to_kill(None, real_generator=False) as server:
        result = await crash(server, kills=2, seed=8)
    assert result.good, result.line()
    assert result.kills == 2
    assert result.acknowledged > 0 and result.keys > 0


@pytest.mark.parametrize("wrong", ["lost", "twice", "disordered", "undead", "disagreed", "keys_wrong"])
def test_anything_that_went_wrong_makes_the_result_bad(wrong: str) -> None:
    assert Result(kills=1, acknowledged=5).good
    assert not Result(kills=1, acknowledged=5, **{wrong: 1}).good
