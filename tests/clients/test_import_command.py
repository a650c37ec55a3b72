"""`mneme import` against the real server: once, twice, and killed in the middle, with the server killed too."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.serving import PROJECT, Server
from mneme_client import Mneme
from mneme_client.history import read
from tests.clients.conftest import ADMIN_KEY

SAMPLES = Path(__file__).parent / "samples"
MNEME = [sys.executable, "-c", "import sys; sys.argv[0] = 'mneme'; from app.cli import main; main()"]


def command(*arguments: str | Path, key: str | None = ADMIN_KEY) -> tuple[list[str], dict[str, str]]:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{PROJECT}:{PROJECT / 'clients' / 'python'}"}
    return [*MNEME, "import", *map(str, arguments)], environment | ({"MNEME_KEY": key} if key else {})


def bring(*arguments: str | Path, key: str | None = ADMIN_KEY) -> tuple[int, str]:
    called, environment = command(*arguments, key=key)
    ended = subprocess.run(called, env=environment, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in ended.stderr and ended.stdout == ""
    return ended.returncode, ended.stderr.strip()


def everything(mneme: Mneme, user: str) -> dict[str, list[tuple[str, str]]]:
    return {
        session.session_id: [(one.role, one.content) for one in mneme.session_messages(user, session.session_id)]
        for session in mneme.sessions(user)
    }


def test_a_history_comes_in_once_however_often_it_is_sent(server: Server, mneme: Mneme, user: str) -> None:
    file = SAMPLES / "chatgpt.json"
    expected = {
        one.session_id: [(message.role, message.content) for message in one.messages] for one in read("chatgpt", file)
    }
    for _ in range(2):
        code, told = bring("--from", "chatgpt", file, "--user", user, "--url", server.url)
        assert (code, told) == (
            0, f"mneme: 9 messages in 3 conversations are in the memory of {user};"
            " 4 entries without words of anybody left out",
        )  # fmt: skip
        assert everything(mneme, user) == expected
    found = mneme.recall(user, "When do we fly?", k=1).recalled[0]
    assert (found.content, found.occurred_at.isoformat()[:19]) == ("We fly to Rome in June.", "2024-05-01T10:01:40")
    dog = next(one for one in mneme.messages(user, contains="Biscuit"))
    mneme.edit(user, dog.id, "My dog is called Keks.")
    code, told = bring("--from", "chatgpt", file, "--user", user, "--url", server.url)
    assert code == 0 and "1 of them were changed here, and stay so" in told
    assert [one.content for one in mneme.messages(user, contains="My dog")] == ["My dog is called Keks."]


def test_what_is_wrong_is_one_line(server: Server, user: str, tmp_path: Path) -> None:
    cut = tmp_path / "cut.json"
    cut.write_text((SAMPLES / "chatgpt.json").read_text()[:3000])
    to = ("--user", user, "--url", server.url)
    file = SAMPLES / "chatgpt.json"
    for arguments, key, told in (
        (("--from", "chatgpt", cut, *to), ADMIN_KEY, "mneme: cut.json, line "),
        (("--from", "chatgpt", file, *to), "mneme_" + "x" * 43, "give --key, or set MNEME_KEY"),
        (("--from", "chatgpt", file, "--user", "a b", "--url", server.url), ADMIN_KEY, "mneme: user_id: "),
    ):
        code, said = bring(*arguments, key=key)
        assert code == 1 and told in said and "\n" not in said
    code, said = bring("--from", "claude", SAMPLES / "claude.json", "--dry-run", *to)
    assert (code, said) == (0, "mneme: claude.json holds 6 messages in 2 conversations; nothing was sent")


def test_after_kills_of_both_sides_the_same_command_goes_on_and_nothing_is_lost_or_twice(
    server: Server, mneme: Mneme, user: str, tmp_path: Path
) -> None:
    lines = [
        {"content": f"Parcel {number}.", "session_id": f"s{number // 40}", "external_id": f"p{number}"}
        for number in range(400)
    ]
    file = tmp_path / "parcels.jsonl"
    file.write_text("\n".join(map(json.dumps, lines)))
    arguments = ("--from", "jsonl", file, "--user", user)

    def stored(client: Mneme) -> list[str]:
        return [one.content for one in client.messages(user)][::-1]

    def killed_after(least: int) -> None:
        called, environment = command(*arguments, "--url", server.url)
        importing = subprocess.Popen(called, env=environment, stderr=subprocess.DEVNULL)
        while not any(one.user_id == user and one.messages >= least for one in mneme.users()):
            assert importing.poll() is None
            time.sleep(0.02)
        importing.send_signal(signal.SIGKILL)
        importing.wait()

    killed_after(40)
    assert 40 <= len(stored(mneme)) < 400
    called, environment = command(*arguments, "--url", server.url)
    importing = subprocess.Popen(called, env=environment, stderr=subprocess.PIPE, text=True)
    while len(stored(mneme)) < 120:
        time.sleep(0.02)
    server.kill()
    importing.send_signal(signal.SIGKILL)
    importing.wait()
    server.start()
    with Mneme(server.url, ADMIN_KEY) as again:
        acknowledged = stored(again)
        assert acknowledged == [line["content"] for line in lines][: len(acknowledged)] and len(acknowledged) >= 120
        code, told = bring(*arguments, "--url", server.url)
        assert (code, told) == (0, f"mneme: 400 messages in 10 conversations are in the memory of {user}")
        assert stored(again) == [line["content"] for line in lines]


def test_without_a_server_it_says_what_to_do(
    user: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import typer

    from app import import_command
    from mneme_client import Retries

    monkeypatch.setattr(import_command, "_PATIENT", Retries(0))
    with pytest.raises(typer.Exit):
        import_command.import_history("chatgpt", SAMPLES / "chatgpt.json", user, "http://127.0.0.1:9", None, False)
    assert "mneme: no server at http://127.0.0.1:9" in capsys.readouterr().err
