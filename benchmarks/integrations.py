"""Whether other people's programs, as they are, get a memory: each is driven against a real server, over a restart.

Every program of `scripts/integrations` has a user and a key of its own. In a first session it tells one fact; the
server is stopped and started again; in a second session, started with nothing but the address and the key, it asks for
the fact. It passes if the answer has it. The language model is a scripted one that says back what it was shown: what is
measured is that the fact reaches the model, not what a model makes of it.

    make integrations
"""

import argparse
import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.scripted_model import Prompt, ScriptedModel
from benchmarks.serving import PROJECT, Server, told_in_one_line

FACT, QUESTION, ANSWER = "My dog is called Biscuit.", "What is my dog called?", "Biscuit"
PROGRAMS = PROJECT / "scripts" / "integrations"
ADMIN = "mneme_" + "a" * 43
COMMAND = (sys.executable, "-c", "import sys; sys.argv[0] = 'mneme'; from app.cli import main; main()")
_SECONDS = 180


async def say_back(prompt: Prompt) -> AsyncGenerator[str, None]:
    """All that the model was shown, the notes among it, the last first."""
    yield "I was shown: " + " | ".join(str(message["content"]) for message in reversed(prompt))


@contextmanager
def running(model: ScriptedModel) -> Iterator[str]:
    """The model in a thread of its own; its address."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(model.__aenter__(), loop).result(10)
    try:
        yield model.url
    finally:
        asyncio.run_coroutine_threadsafe(model.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


def chosen(asked: list[str]) -> list[Path]:
    """The programs to run; the inspector only where there is npx."""
    every = sorted(one for one in PROGRAMS.iterdir() if one.suffix in (".py", ".sh"))
    wanted = [one for one in every if not asked or one.stem in asked]
    return [one for one in wanted if one.stem != "inspector" or shutil.which("npx")]


def said(program: Path, text: str, server: Server, key: str, python: Path, folder: Path) -> str:
    """What a program prints when its user says a text."""
    environment = {
        **os.environ,
        "MNEME_URL": server.url,
        "MNEME_KEY": key,
        "MNEME_USER": program.stem,
        "MNEME_COMMAND": json.dumps(COMMAND),
        "PYTHONPATH": str(PROJECT),
        "BIN": str(python.parent),
        "FOLDER": str(folder),
    }
    command = [str(python), "-P", str(program)] if program.suffix == ".py" else [str(program)]
    done = subprocess.run([*command, text], env=environment, capture_output=True, text=True, timeout=_SECONDS)
    return done.stdout if done.returncode == 0 else f"failed: {done.stderr.strip()[-300:]}"


def main() -> None:
    """Runs the programs, prints what came out, and ends with status 1 where one was not remembered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", nargs="*", help="names out of scripts/integrations; all, if none is given")
    parser.add_argument("--python", type=Path, default=PROJECT / ".venv-integrations/bin/python")
    given = parser.parse_args()
    programs, answers = chosen(given.programs), dict[str, str]()
    model = ScriptedModel(say_back)
    with (
        told_in_one_line(),
        running(model) as url,
        tempfile.TemporaryDirectory() as temporary,
        Server({"GENERATOR_URL": url, "MNEME_ADMIN_KEY": ADMIN}) as server,
    ):
        folders = {one: Path(temporary) / one.stem for one in programs}
        keys = dict[Path, str]()
        with server.client() as client:
            for one in programs:
                folders[one].mkdir()
                body = {"name": one.stem, "scope": "user", "user_id": one.stem}
                made = client.post("/v1/keys", json=body, headers={"Authorization": f"Bearer {ADMIN}"})
                keys[one] = made.raise_for_status().json()["key"]
        for one in programs:
            said(one, FACT, server, keys[one], given.python, folders[one])
        server.restart()
        for one in programs:
            answers[one.stem] = said(one, QUESTION, server, keys[one], given.python, folders[one])
    for name, answer in answers.items():
        verdict, shown = "remembered" if ANSWER in answer else "FORGOTTEN", " ".join(answer.split())
        print(f"{name:28} {verdict}   {shown[:100]}")
    if not all(ANSWER in answer for answer in answers.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
