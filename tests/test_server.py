"""The server as a process: what it says, clients that leave, being told to stop, restarts, and its database going away.

The language model is a scripted one, which stands for a remote model: it hangs when it is told to.
"""

import asyncio
import io
import json
import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pexpect
import pytest
import pytest_asyncio

from benchmarks.scripted_model import Prompt, ScriptedModel, asked, echo
from benchmarks.serving import Server

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

Json = dict[str, Any]
ONE_THREAD = {"OMP_NUM_THREADS": "1"}  # servers that share cores would spin against each other
PROJECT = Path(__file__).parent.parent
MNEME = (sys.executable, "-c", "import sys; sys.argv[0] = 'mneme'; from app.cli import main; main()")


async def speaks_until_told(prompt: Prompt) -> AsyncGenerator[str, None]:
    """Says three words and hangs where the user says so; otherwise echoes."""
    if asked(prompt).startswith("Hang"):
        for word in ("Let ", "me ", "think"):
            yield word
        await asyncio.Event().wait()
    async for text in echo(prompt):
        yield text


@dataclass
class Running:
    """A server process, and the model that writes its replies."""

    server: Server
    model: ScriptedModel

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.server.url, timeout=60, trust_env=False)

    async def call(self, method: str, path: str, body: Json | None = None) -> httpx.Response:
        async with self.client() as client:
            return await client.request(method, path, json=body)

    async def chat(self, user: str, message: str, **more: Any) -> Json:
        response = await self.call("POST", "/v1/chat", {"user_id": user, "message": message, **more})
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def recalled(self, user: str, query: str, k: int = 8) -> list[str]:
        response = await self.call("POST", f"/v1/users/{user}/memory/recall", {"query": query, "k": k})
        assert response.status_code == 200, response.text
        return [one["content"] for one in response.json()["recalled"]]

    async def log(self, user: str, session: str) -> list[Json]:
        response = await self.call("GET", f"/v1/users/{user}/sessions/{session}/messages?limit=1000")
        assert response.status_code == 200, response.text
        return list(response.json()["messages"])


async def in_thread(blocking: Callable[[], None]) -> None:
    """Lets the model, which lives in this loop, answer while the server starts or stops."""
    await asyncio.to_thread(blocking)


async def eventually(holds: Callable[[], Any], seconds: float = 10) -> None:
    """Waits for what is true soon, but not at once."""
    latest = time.monotonic() + seconds
    while not await holds():
        assert time.monotonic() < latest, "never came true"
        await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """A server on SQLite."""
    async with ScriptedModel(speaks_until_told) as model:
        server = Server({"GENERATOR_URL": model.url, **ONE_THREAD}, tmp_path_factory.mktemp("server"))
        await in_thread(server.start)
        yield Running(server, model)
        await in_thread(server.stop)


@pytest.fixture
def user() -> str:
    return f"user-{uuid.uuid4().hex[:12]}"


async def leave_midway(running: Running, user: str, message: str, *, stream: bool) -> None:
    """Sends a message over a socket of its own, and closes it once the model speaks."""
    host, port = running.server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps({"user_id": user, "message": message, "session_id": "s1", "stream": stream}).encode()
    writer.write(
        b"POST /v1/chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body) + body
    )  # fmt: skip
    if stream:
        await asyncio.wait_for(reader.readuntil(b"think"), 10)
    else:
        await running.model.until(speaking=1)
    writer.transport.abort()


async def test_the_commands_of_the_ready_message_work_as_they_stand(running: Running) -> None:
    said = running.server.log.read_text()
    ready = said[said.index("Mneme is ready on ") :]
    commands = re.findall(r"^  (curl .*?(?<!\\))$", ready, re.MULTILINE | re.DOTALL)
    assert len(commands) == 3
    results = []
    for command in commands:
        ran = await asyncio.to_thread(subprocess.run, ["bash", "-c", command], capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        results.append(json.loads(ran.stdout))
    reply, found, slots = results
    assert reply["reply"]
    assert found["recalled"][0]["content"] == "My dog is called Biscuit."
    assert slots["slots"][0]["text"] == "My dog is called Biscuit."


async def test_what_the_server_says_at_the_start_is_short(running: Running) -> None:
    said = running.server.log.read_text()
    assert len(said[: said.index("Mneme is ready on ")].splitlines()) <= 6


@pytest.mark.parametrize("path", ["", "/docs", "/openapi.json"])
async def test_the_addresses_that_the_ready_message_names_are_there(running: Running, path: str) -> None:
    assert (await running.call("GET", path or "/health/live")).status_code == 200


async def test_a_client_that_leaves_a_stream_stops_the_model_and_keeps_what_was_said(
    running: Running, user: str
) -> None:
    await leave_midway(running, user, "Hang on.", stream=True)
    async with asyncio.timeout(5):
        await running.model.until(speaking=0)

    async def kept() -> bool:
        return len(await running.log(user, "s1")) == 2

    await eventually(kept)
    message, reply = await running.log(user, "s1")
    assert (message["content"], message["status"]) == ("Hang on.", "complete")
    assert (reply["content"], reply["status"]) == ("Let me think", "interrupted")
    assert (await running.chat(user, "And now?", session_id="s1"))["reply"].strip() == "You said: And now?"


async def test_a_client_that_leaves_without_a_stream_stops_the_model_too(running: Running, user: str) -> None:
    await leave_midway(running, user, "Hang on.", stream=False)
    async with asyncio.timeout(5):
        await running.model.until(speaking=0)

    async def kept() -> bool:
        return len(await running.log(user, "s1")) == 2

    await eventually(kept)
    reply = (await running.log(user, "s1"))[1]
    assert reply["status"] == "interrupted"


async def test_many_clients_that_leave_at_once_leave_the_server_whole(running: Running, user: str) -> None:
    await asyncio.gather(*(leave_midway(running, f"{user}-{n}", "Hang on.", stream=True) for n in range(12)))
    async with asyncio.timeout(10):
        await running.model.until(speaking=0)
    await running.chat(user, "Hello there.")
    assert "Traceback" not in running.server.log.read_text()


async def test_the_terminal_talks_to_the_server(running: Running, user: str) -> None:
    said = "My cat is called Treacle.\n\n/why\nWhat is my cat called? [bold]\n/why\n/quit\nnever said\n"
    command = [*MNEME, "chat", "--user", user, "--url", running.server.url, "--session", "s1"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "COLUMNS": "120"}
    ended = await asyncio.to_thread(
        subprocess.run, command, input=said, env=environment, cwd=running.server.folder, capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert "You said: My cat is called Treacle." in ended.stdout
    assert "nothing was recalled" in ended.stdout
    assert "You said: What is my cat called? [bold]" in ended.stdout
    assert ended.stdout.count("My cat is called Treacle.") >= 2  # the reply, and the table of what was recalled
    assert "never said" not in ended.stdout
    assert len(await running.log(user, "s1")) == 4


async def test_a_person_at_a_terminal_is_not_mixed_into_the_reply_and_forgets_by_number(
    running: Running, user: str
) -> None:
    def talk() -> str:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), "TERM": "xterm", "COLUMNS": "100"}
        environment["PROMPT_TOOLKIT_NO_CPR"] = "1"  # nobody answers here where the cursor is
        screen = io.StringIO()
        command = [*MNEME, "chat", "--user", user, "--url", running.server.url]
        person = pexpect.spawn(
            command[0], command[1:], env=environment, cwd=str(running.server.folder), encoding="utf-8", timeout=30
        )
        person.logfile_read = screen
        person.expect("/help tells the commands")
        person.expect("> ")
        person.sendline("Please answer me in Spanish from now on.")
        person.expect("You said: Please answer me in Spanish")
        person.expect("> ")
        person.sendline("Hang on.")
        person.expect("Let me think")
        person.send("typed meanwhile")
        time.sleep(0.3)
        assert "typed meanwhile" not in screen.getvalue()
        person.sendcontrol("c")
        person.expect("interrupted")
        person.sendline("/standing")
        person.expect("holds until you revoke it.*in Spanish from now on")
        person.sendline("/forget 1")
        person.expect("Forget these too. .y/N.")
        person.sendline("n")
        person.expect("forgotten: Please answer me")
        person.sendline("/standing")
        person.expect("nothing stands")
        person.sendline("/sessions")
        person.expect("this one")
        person.sendline("/new")
        person.expect("begins a new session")
        for _ in range(10):  # a key that comes before the prompt is set up is lost, as it is to a person
            person.sendcontrol("d")
            if person.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=3) == 0:
                break
        else:
            pytest.fail("Ctrl-D does not end the chat")
        return screen.getvalue()

    await asyncio.to_thread(talk)
    async with running.client() as client:
        said = (await client.get(f"/v1/users/{user}/messages")).json()["messages"]
    assert [one["content"].strip() for one in said if one["role"] == "user"] == ["Hang on."]


async def test_told_to_stop_it_stops_keeps_the_stream_in_flight_and_finds_it_all_again(
    running: Running, user: str
) -> None:
    await running.chat(user, "My dog is called Biscuit.", session_id="s1")
    body = {"user_id": user, "message": "Hang on.", "session_id": "s1", "stream": True}
    async with running.client() as client, client.stream("POST", "/v1/chat", json=body) as response:
        lines = response.aiter_lines()
        async for line in lines:
            if "think" in line:
                break
        began = time.monotonic()
        stopping = asyncio.create_task(in_thread(running.server.stop))
        rest = [line async for line in lines]
        await stopping
    assert time.monotonic() - began < 10
    assert "event: error" in rest
    assert "Traceback" not in running.server.log.read_text()

    await in_thread(running.server.start)
    assert "My dog is called Biscuit." in await running.recalled(user, "What is my dog called?")
    log = await running.log(user, "s1")
    assert [(one["role"], one["status"]) for one in log[2:]] == [("user", "complete"), ("assistant", "interrupted")]
    assert log[3]["content"] == "Let me think"


# --- PostgreSQL: a server of these tests' own, for it is stopped and started ---


class Postgres:
    """A throwaway PostgreSQL that can be stopped and started again at the same port."""

    def __init__(self) -> None:
        script = PROJECT / "scripts" / "test-postgres"
        started = subprocess.run([str(script), "start"], capture_output=True, text=True, check=True).stdout
        found = dict(word.split("=", 1) for word in shlex.split(started) if "=" in word)
        self.url, self.folder = found["MNEME_TEST_POSTGRES_URL"], Path(found["MNEME_TEST_POSTGRES_FOLDER"])
        program, *options = shlex.split((self.folder / "data" / "postmaster.opts").read_text())
        self._control = Path(program).with_name("pg_ctl")
        self._options = shlex.join(option for option in options if option not in ("-D", str(self.folder / "data")))

    def stop(self) -> None:
        self._pg_ctl("-m", "fast", "stop")  # the test server keeps no write-ahead log on disk for an abrupt one

    def start(self) -> None:
        self._pg_ctl("-l", str(self.folder / "log"), "-o", self._options, "start")

    def remove(self) -> None:
        environment = {**os.environ, "MNEME_TEST_POSTGRES_FOLDER": str(self.folder)}
        subprocess.run([str(PROJECT / "scripts" / "test-postgres"), "stop"], env=environment, check=True)

    def _pg_ctl(self, *arguments: str) -> None:
        as_owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []
        command = [*as_owner, str(self._control), "-D", str(self.folder / "data"), "-w", "-s", *arguments]
        subprocess.run(command, cwd=self.folder, check=True, timeout=60, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    if "MNEME_TEST_POSTGRES_URL" not in os.environ and os.environ.get("CI") != "true":
        pytest.skip("no PostgreSQL here")
    postgres = Postgres()
    yield postgres
    postgres.remove()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def replicas(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[list[Running]]:
    """Two servers on one encrypted PostgreSQL, while its key is being changed: each wraps by another key."""
    keys = ["01" * 32, "02" * 32]
    async with ScriptedModel(speaks_until_told) as model:
        settings = {"GENERATOR_URL": model.url, "DATABASE_URL": postgres.url, **ONE_THREAD}
        servers = [
            Server({**settings, "ENCRYPTION_KEY": ",".join(both)}, tmp_path_factory.mktemp("replica"))
            for both in (keys, keys[::-1])
        ]
        await asyncio.gather(*(in_thread(server.start) for server in servers))
        yield [Running(server, model) for server in servers]
        await asyncio.gather(*(in_thread(server.stop) for server in servers))


@pytest.mark.postgres
async def test_two_servers_lose_no_write_of_one_user_and_each_reads_the_others(
    replicas: list[Running], user: str
) -> None:
    async def talk(number: int) -> list[tuple[str, str]]:
        here, there = replicas[number % 2], replicas[(number + 1) % 2]
        said = []
        for turn in range(6):
            message = f"Writer {number} counts to {turn}."
            reply = await here.chat(user, message, session_id=f"s{number}")
            assert reply["reply"].strip() == f"You said: {message}"
            said += [(reply["user_message_id"], message), (reply["reply_message_id"], reply["reply"])]
            # What one server acknowledged, the other one knows at once.
            assert (await there.log(user, f"s{number}"))[-1]["id"] == reply["reply_message_id"]
            trace = await there.call("GET", f"/v1/users/{user}/messages/{reply['user_message_id']}/trace")
            assert trace.json()["written"]
        return said

    writers = 4
    acknowledged = await asyncio.gather(*(talk(number) for number in range(writers)))
    for number, said in enumerate(acknowledged):
        log = await replicas[0].log(user, f"s{number}")
        assert [(one["id"], one["content"]) for one in log] == said
    glances = [(await replica.call("GET", f"/v1/users/{user}/memory")).json() for replica in replicas]
    assert glances[0] == glances[1]
    assert glances[0]["slots_used"] == writers * 12
    for replica in replicas:  # among 48 that are all but the same, so that not the first few are looked at
        assert "Writer 2 counts to 5." in await replica.recalled(user, "Writer 2 counts to 5.", k=50)


@pytest.mark.postgres
async def test_a_database_that_goes_away_gives_503_and_comes_back_without_a_restart(
    replicas: list[Running], postgres: Postgres, user: str
) -> None:
    await replicas[0].chat(user, "My dog is called Biscuit.", session_id="s1")
    postgres.stop()
    for replica in replicas:
        assert (await replica.call("GET", "/health/ready")).status_code == 503
        assert (await replica.call("GET", "/health/live")).status_code == 200
        for stream in (False, True):
            body = {"user_id": user, "message": "Hello there.", "stream": stream}
            response = await replica.call("POST", "/v1/chat", body)
            assert response.status_code == 503, response.text
            assert response.headers["content-type"] == "application/problem+json"
    postgres.start()
    for replica in replicas:
        assert (await replica.call("GET", "/health/ready")).status_code == 200
        assert "My dog is called Biscuit." in await replica.recalled(user, "What is my dog called?")
        await replica.chat(user, "Hello there.", session_id="s2")
    assert len(await replicas[0].log(user, "s1")) == 2
    assert len(await replicas[1].log(user, "s2")) == 4
