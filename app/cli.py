"""The `mneme` command: serve, fetch, migrate, chat, import, mcp, replay, train, answer, table, openapi.

Parts that take long to import are imported where they are used, so that a wrong setting is told at once.
"""

import asyncio
import warnings
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from app import __version__, encryption_command, keys_command, log_lines, settings, stories_command, training
from app.cli_output import exit_on_error, fail, tell

app = typer.Typer(no_args_is_help=True, add_completion=False, help="A self-hosted assistant with neural memory.")
app.add_typer(training.train, name="train")
app.add_typer(keys_command.keys, name="keys")
app.add_typer(encryption_command.encryption, name="encryption")
app.command()(training.table)
app.command()(stories_command.answer)
Done = TypeVar("Done")


class Source(StrEnum):
    """What a history can be brought from."""

    CHATGPT = "chatgpt"
    CLAUDE = "claude"
    OPENAI = "openai"
    MEM0 = "mem0"
    JSONL = "jsonl"


def main() -> None:
    """The console script; what is wrong is said in one line, without a traceback."""
    app()


@app.command()
def serve() -> None:
    """Run the service."""
    chosen = _settings()
    log_lines.install(chosen.log_level)
    warnings.simplefilter("ignore")  # Python's own, which quote values
    tell("starting …")
    from app.access.openness import Unprotected
    from app.server import run
    from app.store.database import StoreUnavailable
    from app.store.migration import SchemaError
    from app.store.sealing import EncryptionError

    with exit_on_error(
        StoreUnavailable, SchemaError, EncryptionError, settings.SettingsError, Unprotected, OSError, *_model_errors()
    ):
        run(chosen, tell)


@app.command()
def fetch() -> None:
    """Download the language model that GENERATOR names, unless it is here; a break costs little, run it again."""
    chosen = _settings()
    if chosen.generator_url is not None:
        return
    from app.assistant.embedded import ModelError
    from app.assistant.fetching import fetch as fetch_model

    with exit_on_error(ModelError, OSError):
        fetch_model(chosen.generator, chosen.models, tell)


@app.command()
def migrate() -> None:
    """Bring the database to this version's schema; safe to run at every start."""
    chosen = _settings()
    from app.store.database import StoreUnavailable
    from app.store.migration import SchemaError
    from app.store.migration import migrate as upgrade

    with exit_on_error(StoreUnavailable, SchemaError, OSError):
        tell(f"database at schema {_run(upgrade(chosen.database_url))}")


@app.command()
def chat(
    user: Annotated[str, typer.Option(help="who is talking")] = "me",
    url: Annotated[str | None, typer.Option(help="the server; by default the one that HOST and PORT name")] = None,
    session: Annotated[str | None, typer.Option(help="a session to continue; else a new one")] = None,
    why: Annotated[bool, typer.Option(help="show after each reply what was recalled, and why")] = False,
    key: Annotated[str | None, typer.Option(help="what the server is shown, if it wants a key; else MNEME_KEY")] = None,
    wait: Annotated[
        float | None, typer.Option(help="seconds to wait for a server that is starting; 60 in a terminal", min=0)
    ] = None,
) -> None:
    """Talk to a running server in this terminal."""
    chosen = _settings()
    from app.chat_client import talk

    if key is None and chosen.mneme_key is not None:
        key = chosen.mneme_key.get_secret_value()
    talk(url or f"http://{chosen.host}:{chosen.port}", user, session, why, key, wait)


@app.command()
def mcp(
    user: Annotated[str, typer.Option(help="whose memory")] = "me",
    url: Annotated[str | None, typer.Option(help="the server; by default the one that HOST and PORT name")] = None,
) -> None:
    """Serve a running server's memory over MCP, on standard input and output; MNEME_KEY is the key."""
    chosen = _settings()
    from app.mcp.stdio import serve

    key = chosen.mneme_key.get_secret_value() if chosen.mneme_key else None
    serve(url or f"http://{chosen.host}:{chosen.port}", user, key)


@app.command("import")
def import_history(
    file: Annotated[Path, typer.Argument(help="the export as it was downloaded: a zip file, its folder, or a file")],
    kind: Annotated[Source, typer.Option("--from", help="what it is an export of")],
    user: Annotated[str, typer.Option(help="whose memory it goes to")],
    url: Annotated[str | None, typer.Option(help="the server; by default the one that HOST and PORT name")] = None,
    key: Annotated[str | None, typer.Option(help="a key, where the server wants one", envvar="MNEME_KEY")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what the file holds; send nothing")] = False,
) -> None:
    """Bring a history along from another assistant; calling it again adds nothing twice."""
    chosen = _settings()
    try:
        from app.import_command import import_history as bring
    except ModuleNotFoundError as error:
        if error.name != "mneme_client":
            raise
        fail("this command needs the client: pip install ./clients/python")
    bring(kind.value, file, user, url or f"http://{chosen.host}:{chosen.port}", key, dry_run)


@app.command()
def replay(
    user: Annotated[str | None, typer.Option(help="whose memory")] = None,
    every: Annotated[bool, typer.Option("--all", help="everybody's")] = False,
    check: Annotated[bool, typer.Option("--check", help="compare only; change nothing")] = False,
) -> None:
    """Make memories anew from the log, say whether they agree with what is stored, and store what does not.

    Ends with status 1 where --check finds a difference.
    """
    if (user is None) != every:
        fail("give either --user or --all")
    chosen = _settings()
    tell("loading the encoder …")
    from app.replay_command import replay_users
    from app.store.database import StoreUnavailable
    from app.store.migration import SchemaError
    from app.store.sealing import EncryptionError

    of_store = (StoreUnavailable, SchemaError, EncryptionError, settings.SettingsError)
    with exit_on_error(*of_store, OSError, LookupError, *_model_errors()):
        if not _run(replay_users(chosen, user, check, print)):
            raise typer.Exit(1)


@app.command()
def openapi(
    file: Annotated[Path | None, typer.Argument(help="where to write it; else it is printed")] = None,
) -> None:
    """Write the OpenAPI document, from which clients can be generated."""
    from app.openapi_document import as_text, document

    text = as_text(document())
    if file is None:
        print(text, end="")
        return
    with exit_on_error(OSError):
        file.write_text(text, encoding="utf-8")


@app.command()
def route(
    question: Annotated[str, typer.Argument(help='"How do I get from Oxford Circus to Baker Street?"')],
    graph: Annotated[
        Path | None, typer.Option(help="a CSV of edges (from,line,to); the London Underground unless said")
    ] = None,
) -> None:
    """Find the way from one station to another: a memory network reads the map and says the path."""
    from app.reasoning import BadQuestion
    from app.reasoning.routes import find_route
    from memory_core.tasks.graphs import GraphError, read_edges
    from memory_core.weights import WeightsError

    with exit_on_error(BadQuestion, GraphError, WeightsError, OSError, UnicodeDecodeError):
        found = find_route(question, None if graph is None else read_edges(graph.read_text(encoding="utf-8")))
    print(found.text)
    tell(f"probability {found.probability:.2f}; stations: {', '.join(found.stations)}")


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def _settings() -> settings.Settings:
    try:
        return settings.load()
    except settings.SettingsError as error:
        fail(str(error))


def _model_errors() -> tuple[type[Exception], ...]:
    from app.assistant.embedded import ModelError
    from memory_core.encoder import EncoderError

    return ModelError, EncoderError


def _run(coroutine: Coroutine[Any, Any, Done]) -> Done:
    return asyncio.run(coroutine)
