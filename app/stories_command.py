"""`mneme train babi` and `mneme answer`: the network that reads stories, taught and asked.

Everything that takes long to import is imported where it is used.
"""

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli_output import exit_on_error, tell
from app.training import progress_of, train


@train.command("babi", help="Questions about stories: the twenty bAbI tasks, jointly, by one network.")
def babi(
    data: Annotated[Path, typer.Option(help="the folder with babi-en-10k.tar.xz, or with its files")],
    model: Annotated[str, typer.Option(help="reader; or dnc, transformer, lstm to compare")] = "reader",
    without: Annotated[
        list[str] | None, typer.Option(help="a part to leave out: links, search, read-first, dropout, thinking")
    ] = None,
    seed: Annotated[int, typer.Option(help="of parameters, batches and what is held back", min=0, max=10**9)] = 1,
    steps: Annotated[int, typer.Option(help="updates; the course has its shares of them", min=1)] = 20_000,
    size: Annotated[int, typer.Option(help="of a batch: sentences, and five times its questions", min=1)] = 700,
    width: Annotated[int, typer.Option(help="of a sentence's vector", min=8)] = 96,
    rate: Annotated[float, typer.Option(help="step size", min=1e-9, max=1.0)] = 1e-3,
    out: Annotated[Path | None, typer.Option(help="the run's folder; runs/babi-MODEL-… unless said")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on with that run, which was interrupted")] = False,
) -> None:
    from memory_core.stories.babi import MissingStories
    from memory_core.training import babi_run
    from memory_core.training.babi import prepare
    from memory_core.training.checkpoint import CheckpointError
    from memory_core.training.learner import TrainingError
    from memory_core.training.run import RunError

    with exit_on_error(MissingStories, RunError, CheckpointError, TrainingError, OSError):
        run = babi_run.planned(model, tuple(without or ()), seed, size, width, steps, rate)
        folder = out or Path("runs") / run.name
        tell("reading the stories …")
        stories = prepare(data, seed)
        if stories.made:
            tell("task 3: its training file is a part only, so its stories are made; the part is held back")
        with progress_of(steps, "wrong, held back: {error:.1%}") as watch:
            result = babi_run.train(run, stories, folder, resume=resume, watch=watch, tell=tell)
    for line in _table(result):
        print(line)
    tell(f"metrics, checkpoint, weights and result are in {folder}")


def answer(
    story: Annotated[Path, typer.Argument(help="a text file, a sentence a line")],
    question: Annotated[str, typer.Argument(help='such as "Where is the football?"')],
    weights: Annotated[Path | None, typer.Option(help="of another network, as `mneme train babi` leaves it")] = None,
    plot: Annotated[Path | None, typer.Option(help="a PNG of what was read at each step of thinking")] = None,
) -> None:
    """Answer a question about a story, and say which sentences the answer was read from."""
    from memory_core import weights as shipped
    from memory_core.stories import answering
    from memory_core.stories.picture import draw
    from memory_core.training.picture import NoMatplotlib

    with exit_on_error(OSError, UnicodeDecodeError):
        sentences = [line.strip() for line in story.read_text(encoding="utf-8").splitlines() if line.strip()]
    with exit_on_error(answering.StoryWeightsError, answering.Unreadable, NoMatplotlib, OSError):
        found = answering.load(weights or shipped.BABI).answer(sentences, question)
        if plot is not None:
            draw(found, sentences, question, plot)
    print(f"{found.answer}  ({found.probability:.0%})")
    for one in found.supporting:
        print(f"  {one.weight:4.0%}  {one.sentence}")
    if plot is not None:
        tell(f"what was read at each step is in {plot}")


def _table(result: dict[str, Any]) -> list[str]:
    from memory_core.stories.babi import TASKS

    held, test = result["held"], result["test"]
    lines = [f"{'wrong, %':34}held back   test"]
    for task, name in TASKS.items():
        lines.append(f"{task:2} {name:31}{held['tasks'][str(task)]:9.2f}{test['tasks'][str(task)]:7.2f}")
    lines.append(f"{'mean':34}{held['error']:9.2f}{test['error']:7.2f}")
    lines.append(f"{'failed tasks (over 5 %)':34}{held['failed']:9}{test['failed']:7}")
    return lines
