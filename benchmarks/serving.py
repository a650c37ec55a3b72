"""A real `mneme serve` process for the benchmarks: started on a free port over its own database, stopped when done.

The process reads the environment as any server does, so `GENERATOR_URL=… make demo` measures another generator; it
runs in its own folder, where no `.env` of the project reaches it. It must never touch a database that is in use.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

PROJECT = Path(__file__).resolve().parent.parent
_MNEME = (sys.executable, "-c", "import sys; sys.argv[0] = 'mneme'; from app.cli import main; main()")
_READY = "Mneme is ready on "
_STARTING_SECONDS = 180.0
_STOPPING_SECONDS = 30.0


class ServerFailed(Exception):
    """The server did not start, or did not stop; the message holds the end of what it said."""


@contextmanager
def told_in_one_line(*kinds: type[Exception]) -> Iterator[None]:
    """Ends a benchmark with one line and status 1 where its server fails or refuses a call, or on errors of `kinds`."""
    known: tuple[type[Exception], ...] = (ServerFailed, *kinds)
    try:
        yield
    except known as error:
        sys.exit(str(error))
    except httpx.HTTPStatusError as error:
        sys.exit(f"{error.request.url} answered {error.response.status_code}: {error.response.text[:300]}")


class Server:
    """A server over a database of its own, which outlives each process: stop or kill it, then start it again.

    Args:
        settings: by the names of the environment (`SLOTS`, `GENERATOR_URL` …); they win over the environment. HOST and
            PORT are set here, and DATABASE_URL unless it is given.
        folder: where the database and the log are kept; None takes a temporary one, removed at the end.

    Example:
        >>> with Server({"SLOTS": 20_000}) as server, server.client() as client:
        ...     client.get("/version").json()
    """

    def __init__(self, settings: Mapping[str, str | int] | None = None, folder: Path | None = None) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="mneme-benchmark-") if folder is None else None
        self.folder = (Path(self._temporary.name) if self._temporary else Path(str(folder))).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database, self.log = self.folder / "mneme.db", self.folder / "server.log"
        self.settings = {"DATABASE_URL": f"sqlite:///{self.database}"}
        self.settings |= {name: str(value) for name, value in (settings or {}).items()}
        self.settings |= {"HOST": "127.0.0.1", "PORT": "0"}
        self.url = ""
        self._migrated = False
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process as it runs now."""
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts the process, the first time with `mneme migrate` before it, and waits until it is ready for requests.

        Raises:
            ServerFailed: it ended, or was not ready in time.
        """
        environment = {**os.environ, **self.settings, "PYTHONPATH": str(PROJECT)}
        with self.log.open("ab") as log:
            begin = log.tell()
            if not self._migrated:
                try:
                    subprocess.run([*_MNEME, "migrate"], cwd=self.folder, env=environment, stderr=log, check=True)
                except subprocess.CalledProcessError:
                    raise ServerFailed(f"the database could not be migrated:\n{self._said(begin)}") from None
                self._migrated = True
            self._process = subprocess.Popen([*_MNEME, "serve"], cwd=self.folder, env=environment, stderr=log)
        latest = time.monotonic() + _STARTING_SECONDS
        while not self._ready(begin):
            if not self.running:
                raise ServerFailed(f"the server ended with status {self._process.poll()}:\n{self._said(begin)}")
            if time.monotonic() > latest:
                self.kill()
                raise ServerFailed(f"the server was not ready after {_STARTING_SECONDS:.0f} s:\n{self._said(begin)}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Asks the process to end, as an operator would, and waits until it has.

        Raises:
            ServerFailed: it had to be killed.
        """
        if self._process is None or not self.running:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOPPING_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerFailed(f"the server did not stop within {_STOPPING_SECONDS:.0f} s of SIGTERM") from None

    def kill(self) -> None:
        """Ends the process at once, without a chance to tidy up."""
        if self._process is not None and self.running:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Stops the process and starts another over the same database, at another port."""
        self.stop()
        self.start()

    def client(self, timeout: float = 300.0) -> httpx.Client:
        """A client with one keep-alive connection to the process that runs now; no proxy is asked."""
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
        return httpx.Client(base_url=self.url, timeout=timeout, limits=limits, trust_env=False)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._tidy()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        finally:
            self._tidy()

    def _ready(self, begin: int) -> bool:
        said = next((line for line in self._said(begin).splitlines() if line.startswith(_READY)), None)
        if said is None:
            return False
        self.url = said.removeprefix(_READY).split()[0]
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=5, trust_env=False).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    def _said(self, begin: int) -> str:
        with self.log.open("rb") as log:
            log.seek(begin)
            return log.read().decode(errors="replace")

    def _tidy(self) -> None:
        self.kill()
        if self._temporary is not None:
            self._temporary.cleanup()
