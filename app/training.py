"""`mneme train` and `mneme table`: networks trained on tasks, and what came out as a table. Everything that takes long
to import is imported where it is used."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli_output import exit_on_error, fail, tell

TASKS = {
    "copy": "Say again what was shown (Graves 2014).",
    "repeat-copy": "Say it again as often as asked.",
    "associative-recall": "Say what came after the item asked for.",
    "n-grams": "Predict bits from the five before; against the optimal Bayesian predictor.",
    "priority-sort": "Put vectors in the order of their priorities.",
    "completion-half": "Restore images of characters from their upper half (needs --data).",
    "completion-noise": "Restore images of characters from noise (needs --data).",
}
SCIENCE = Path("docs/science.md")

train = typer.Typer(no_args_is_help=True, help="Train a network with external memory on a task.")


def table(
    runs: Annotated[Path, typer.Argument(help="the folder with the runs")] = Path("runs"),
    document: Annotated[Path, typer.Option(help="the document whose table is rewritten")] = SCIENCE,
) -> None:
    """Gather the results of training runs into the table of docs/science.md; rows of other commands stay."""
    from memory_core.training import results

    with exit_on_error(results.ResultsError, OSError):
        found = results.gather(runs)
        results.rewrite(document, "tasks", lambda standing: results.table(found, standing))
    tell(f"{len(found)} runs in {document}")


@train.command("recall", help="Teach the assistant's memory what to read, from conversations with labelled evidence.")
def recall(
    data: Annotated[Path, typer.Option(help="the folder whose recall/ has the conversations")],
    seed: Annotated[int, typer.Option(help="of parameters, batches and pools", min=0, max=10**9)] = 1,
    steps: Annotated[int, typer.Option(help="updates of the reader", min=1)] = 1_500,
    rate: Annotated[float, typer.Option(help="step size", min=0.0)] = 6e-3,
    device: Annotated[str, typer.Option(help="cpu or cuda")] = "cpu",
    out: Annotated[Path | None, typer.Option(help="the run's folder; runs/recall-SEED unless said")] = None,
) -> None:
    from memory_core.encoder import EncoderError
    from memory_core.training.conversations import MissingData
    from memory_core.training.datasets import RecallError, RecallTraining
    from memory_core.training.recall import train

    _check_device(device)
    folder = out or Path("runs") / f"recall-{seed}"
    with exit_on_error(MissingData, RecallError, EncoderError, OSError), _stages() as watch:
        result = train(data, folder, RecallTraining(seed=seed, steps=steps, rate=rate), watch, device)
    for name, figures in result["held"].items():
        tell(f"{name}, conversations held back: " + ", ".join(f"{what} {value}" for what, value in figures.items()))
    tell(f"weights, metrics and result are in {folder}; a run that is broken off goes on when it is started again")


@train.command(
    "intents", help="Fit what a text wants (does it ask? of now? …) to the sentences that ship and to real talk."
)
def intents(
    data: Annotated[Path, typer.Option(help="the folder whose recall/ has the conversations")],
    seed: Annotated[int, typer.Option(help="of the words drawn for the sentences' gaps", min=0, max=10**9)] = 1,
    out: Annotated[Path, typer.Option(help="the run's folder")] = Path("runs/intents"),
    into: Annotated[
        Path | None, typer.Option(help="a file of weights that takes the intents, all else kept", exists=True)
    ] = None,
    teach: Annotated[str | None, typer.Option(help="the one intent that learns, from what ships")] = None,
    new: Annotated[Path | None, typer.Option(help="the sentences that it learns", exists=True, dir_okay=False)] = None,
) -> None:
    from safetensors import SafetensorError

    from memory_core.encoder import EncoderError
    from memory_core.language.intents import INTENTS
    from memory_core.training import fit_intents
    from memory_core.training.conversations import MissingData
    from memory_core.training.intent_sentences import SentencesError
    from memory_core.training.parts import add_to
    from memory_core.weights import WeightsError

    with exit_on_error(MissingData, SentencesError, EncoderError, WeightsError, SafetensorError, OSError):
        if (teach is None) != (new is None) or teach not in (None, *INTENTS):
            raise typer.BadParameter(f"one of {', '.join(INTENTS)}, with --new", param_hint="--teach")
        if teach is not None and new is not None:
            fit_intents.run_teaching(out, data, seed, teach, new)
        else:
            with _stages() as watch:
                result = fit_intents.run(out, data, seed, watch)
            right = ", ".join(f"{name} {share}" for name, share in result["cross-validated"].items())
            tell(f"right in cross-validation, %: {right}")
        if into is not None:
            add_to(into, out / "intents.safetensors")
    tell(f"the intents are in {into or out / 'intents.safetensors'}")


@train.command("graphs", help="Teach a memory to walk graphs and to plan shortest paths, on random graphs.")
def graphs(
    seed: Annotated[int, typer.Option(help="of parameters, graphs and questions", min=0, max=10**9)] = 1,
    steps: Annotated[int, typer.Option(help="updates", min=1)] = 600,
    questions: Annotated[int, typer.Option(help="of each kind and length, to measure with", min=1)] = 200,
    out: Annotated[Path | None, typer.Option(help="the run's folder; runs/graphs-SEED unless said")] = None,
) -> None:
    from memory_core.training.checkpoint import CheckpointError
    from memory_core.training.graphs import GraphTraining, report, train

    folder, training = out or Path("runs") / f"graphs-{seed}", GraphTraining(seed=seed, steps=steps)
    with exit_on_error(CheckpointError, OSError):
        with progress_of(steps, "lesson {lesson:.0f}, {path:.0%} of the steps right") as watch:
            network = train(folder, training, watch)
        result = report(folder, training, network, questions)
    for graph, kinds in result["measured"].items():
        for kind, shares in kinds.items():
            tell(f"{graph}, {kind}: " + ", ".join(f"{length}: {100 * share:.1f} %" for length, share in shares.items()))
    tell(f"weights and result are in {folder}; a run that is broken off goes on when it is started again")


@train.command("families", help="Teach a memory which direct relations make up a cousin or a great-aunt.")
def families(
    seed: Annotated[int, typer.Option(help="of parameters, families and questions", min=0, max=10**9)] = 1,
    steps: Annotated[int, typer.Option(help="updates", min=1)] = 400,
    questions: Annotated[int, typer.Option(help="of each relation, to measure with", min=1)] = 100,
    out: Annotated[Path | None, typer.Option(help="the run's folder; runs/families-SEED unless said")] = None,
) -> None:
    from memory_core.training.families import FamilyTraining, run

    folder = out or Path("runs") / f"families-{seed}"
    with exit_on_error(OSError), progress_of(steps, "{right:.0%} right") as watch:
        result = run(folder, FamilyTraining(seed=seed, steps=steps), watch, questions)
    for family, relations in result["measured"].items():
        for relation, shares in relations.items():
            tell(f"{family}, {relation}: {shares['named']:.1%} named right, {shares['all']:.1%} all of them")
    tell(f"the result is in {folder / 'result.json'}")


@train.command("standing", help="Fit which of two standing statements takes the place of the other.")
def standing(
    seed: Annotated[int, typer.Option(help="of the words drawn for the sentences' gaps", min=0, max=10**9)] = 1,
    out: Annotated[Path, typer.Option(help="the run's folder")] = Path("runs/standing"),
) -> None:
    from memory_core.encoder import EncoderError
    from memory_core.training import fit_standing
    from memory_core.training.intent_sentences import SentencesError

    with exit_on_error(SentencesError, EncoderError, OSError), _stages() as watch:
        result = fit_standing.run(out, seed, watch)
    right = ", ".join(f"{name} {share}" for name, share in result["cross-validated"].items())
    tell(f"pairs with a statement not seen, told right, %: {right}")
    tell(f"the weights are in {out / 'succession.safetensors'}")


@train.command("everyday", help="Fit what everyday use needs beside the reader, to the conversations that ship.")
def everyday(
    seed: Annotated[int, typer.Option(help="of the conversations and parameters", min=0, max=10**9)] = 1,
    out: Annotated[Path, typer.Option(help="the run's folder")] = Path("runs/everyday"),
    into: Annotated[Path | None, typer.Option(help="a file of weights that takes it, all else kept")] = None,
) -> None:
    from safetensors import SafetensorError

    from memory_core.encoder import EncoderError
    from memory_core.training import fit_everyday
    from memory_core.training.parts import add_to
    from memory_core.weights import WeightsError

    with exit_on_error(EncoderError, WeightsError, SafetensorError, OSError):
        with _stages() as watch:
            result = fit_everyday.run(out, seed, watch)
        if into is not None:
            add_to(into, out / "everyday.safetensors")
    tell(f"held back: {result['held']}")
    tell(f"it is in {into or out / 'everyday.safetensors'}")


@contextmanager
def _bars() -> Iterator[Any]:
    """Bars of progress on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield progress


@contextmanager
def _stages() -> Iterator[Callable[[str, int, int, float], None]]:
    with _bars() as progress:
        shown: dict[str, Any] = {}

        def watch(stage: str, done: int, total: int, value: float) -> None:
            if stage not in shown:
                shown[stage] = progress.add_task(stage, total=total)
            progress.update(shown[stage], completed=done, description=f"{stage}  {value:.3f}" if value else stage)

        yield watch


def _check_device(device: str) -> None:
    import torch

    if device not in ("cpu", "cuda"):
        fail(f"--device {device}: there are cpu and cuda")
    if device == "cuda" and not torch.cuda.is_available():
        fail("--device cuda: PyTorch finds no CUDA device here")


def _register(name: str, summary: str) -> None:
    @train.command(name, help=summary)
    def command(
        model: Annotated[str, typer.Option(help="ntm, dnc, …; or a controller alone: lstm, gru, …")] = "dnc",
        controller: Annotated[str | None, typer.Option(help="what drives the memory; lstm unless said")] = None,
        seed: Annotated[int, typer.Option(help="of parameters and sequences", min=0, max=10**9)] = 1,
        slots: Annotated[int | None, typer.Option(help="of the memory", min=1)] = None,
        steps: Annotated[int | None, typer.Option(help="updates at most", min=1)] = None,
        settle: Annotated[int | None, typer.Option(help="last updates, the step size falling to 0", min=0)] = None,
        batch_size: Annotated[int | None, typer.Option(help="sequences an update", min=1)] = None,
        optimiser: Annotated[str | None, typer.Option(help="adam or rmsprop")] = None,
        rate: Annotated[float | None, typer.Option(help="step size")] = None,
        data: Annotated[Path | None, typer.Option(help="the folder with omniglot_28.npz")] = None,
        device: Annotated[str, typer.Option(help="cpu or cuda; small networks are faster on the CPU")] = "cpu",
        compile: Annotated[
            bool, typer.Option("--compile", help="2 to 3 times as fast, after half a minute of compiling")
        ] = False,
        out: Annotated[Path | None, typer.Option(help="the run's folder; runs/TASK-MODEL-… unless said")] = None,
        resume: Annotated[bool, typer.Option("--resume", help="go on with the run in that folder")] = False,
    ) -> None:
        from memory_core import tasks
        from memory_core.training.checkpoint import CheckpointError
        from memory_core.training.learner import TrainingError
        from memory_core.training.run import RunError, planned, train

        _check_device(device)
        with exit_on_error(tasks.TaskError, RunError, CheckpointError, TrainingError, OSError):
            task = tasks.make(name, data)
            run = planned(
                name, model, controller, seed,
                slots=slots, batch_size=batch_size, steps=steps, settle=settle, optimiser=optimiser, rate=rate,
            )  # fmt: skip
            folder = out or Path("runs") / run.name
            with progress_of(run.training.steps, "size {size}  {excess:.4f} bits a bit") as watch:
                result = train(
                    run, task, folder, device=device, compiled=compile, resume=resume, watch=watch, tell=tell
                )
        tell(_summary(result))
        tell(f"metrics, checkpoint, result and picture are in {folder}")


@contextmanager
def progress_of(steps: int, words: str) -> Iterator[Callable[[int, Mapping[str, int | float]], None]]:
    """A bar of updates; gives what moves it. `words` tells what was measured, by name, where something was."""
    with _bars() as progress:
        bar = progress.add_task("training", total=steps)

        def watch(step: int, measured: Mapping[str, int | float]) -> None:
            told = words.format_map(measured) if measured else "training"
            progress.update(bar, completed=step, description=told)

        yield watch


def _summary(result: dict[str, Any]) -> str:
    state = "solved" if result["solved"] else "NOT solved"
    errors = ", ".join(f"{100 * size['bit_error']:.2f} % at {size['multiple']}×" for size in result["sizes"])
    return f"{state} after {result['sequences']:,} sequences, {result['seconds']:.0f} s; wrong bits: {errors}"


for _task, _help in TASKS.items():
    _register(_task, _help)
