"""A language model beside the service, so that the assistant replies out of the box with nothing else installed.

llama.cpp's own server runs in a child process and is spoken to over its OpenAI-compatible interface, on loopback and
behind a key that lives as long as the process: the embedded model and a remote one then share one client. A file that
cannot be a model must end in one line for the operator, never in the death of the service; and two users of OpenMP in
one process would slow the encoder by half (docs/decisions/0005).
"""

import contextlib
import json
import logging
import os
import secrets
import subprocess
import sys
import threading
from pathlib import Path
from typing import Final

from app.assistant.control_text import ControlMarks, marks_of

logger = logging.getLogger(__name__)
_MAGIC: Final = b"GGUF"
_DAMAGED: Final = "it is damaged or not supported, or too large for this machine"
_PATIENCE: Final = 5.0  # seconds that the process has to end by itself


class ModelError(Exception):
    """A model file that cannot be used; the message is one line that names the file and says why."""


class EmbeddedModel:
    """A GGUF model served on a free port of 127.0.0.1 until `close`; whoever needs it calls `revive` before.

    Args:
        path: the GGUF file.
        context: tokens that prompt and reply of one request may take together.
        parallel: replies that are generated side by side. Beside their slots there is one, of the number `parallel`,
            for questions whose prompt begins otherwise: a slot keeps what it computed last, to go on from there.
        threads: CPU threads for the arithmetic; None leaves the choice to llama.cpp.

    Raises:
        ModelError: the file is missing, is no GGUF, or llama.cpp cannot load it.
    """

    def __init__(self, path: Path, *, context: int = 4096, parallel: int = 2, threads: int | None = None) -> None:
        self.path = path
        self.parallel = parallel
        _check_magic(self.path)
        try:
            self.marks = ControlMarks(marks_of(path))
        except ValueError:
            raise ModelError(f"{path}: {_DAMAGED}") from None
        self.api_key = secrets.token_urlsafe(32)
        order = {
            "path": str(self.path),
            "key": self.api_key,
            "context": context,
            "parallel": parallel,
            "threads": threads,
        }
        self._order = json.dumps(order).encode() + b"\n"
        self._lock, self._closed = threading.Lock(), False
        self._start()

    def revive(self) -> str:
        """The server's address, which is another one after its process has died and been started anew.

        Raises:
            ModelError: the new process died as well; the next call tries again.
        """
        with self._lock:
            if self._process.poll() is not None and not self._closed:
                logger.warning("the language model ended with status %s; starting it anew", self._process.returncode)
                self._stop()
                self._start()
            return self.url

    def close(self) -> None:
        """Stops the server for good and frees the model; replies under way end. Closing twice does no harm."""
        with self._lock:
            self._closed = True
            self._stop()

    def _stop(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        # A session of its own: an interrupt from the keyboard is for the service, which then stops this in good order.
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # nothing is left to be flushed into a pipe that nobody reads
            start_new_session=True,
            # Threads that wait for each other by sleeping: by spinning they would keep the one off the core that all
            # wait for, as soon as another process wants a core too.
            env={**os.environ, "OMP_WAIT_POLICY": "passive"},
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(self._order)
        address = self._process.stdout.readline().decode().strip()
        if not address:
            self._stop()
            raise ModelError(f"{self.path}: llama.cpp ended before it served this file: {_DAMAGED}")
        self.url = f"{address}/v1"


def _serve() -> None:
    """The process of its own: serves as told by a line of input until its input ends, as it does when the service dies.

    The key comes this way because others on the machine could read it among the arguments.
    """
    import xllamacpp

    order = json.loads(sys.stdin.readline())
    params = xllamacpp.CommonParams()
    params.model.path = order["path"]
    params.model_alias = {Path(order["path"]).stem}
    params.n_parallel = order["parallel"] + 1
    params.n_ctx = order["context"] * params.n_parallel
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [order["key"]]
    params.verbosity = -1
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_metrics = False
    params.endpoint_props = False
    # Otherwise it would keep up to 8 GiB of finished prompts; a prompt's common prefix is reused without this.
    params.cache_ram_mib = 0
    # Otherwise its threads would spin for a while after each reply, against the encoder that writes it to memory.
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    if order["threads"] is not None:
        params.cpuparams.n_threads = order["threads"]
        params.cpuparams_batch.n_threads = order["threads"]
    try:
        server = xllamacpp.Server(params)
    except RuntimeError:
        sys.exit(1)
    print(server.listening_address, flush=True)
    sys.stdin.read()
    os._exit(0)  # replies under way must not hold up the end


def _check_magic(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror or 'cannot be read'}") from error
    if magic != _MAGIC:
        raise ModelError(f"{path}: not a GGUF file")


if __name__ == "__main__":
    _serve()
