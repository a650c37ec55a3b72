"""What people keep memories in today, and Mneme, behind one interface: a conversation's turns go in, ids come out.

Each is given a turn's text with its speaker's name before it, where there is a name, which is the better form for all
of them, and vectors of the same transformer; each adds and recalls through its public interface, as it is installed by
default. None may call a language model or reach another machine (`offline.stay_here`). The packages of the peers are
imported where they are used, since they are no part of the project (`requirements-peers.txt`).
"""

import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import bm25s
import httpx
import numpy as np
from bm25s.stopwords import STOPWORDS_EN_PLUS

from benchmarks.recall import Vectors, pooled_vectors, ranking, standardised, stemmed_words
from benchmarks.speed import Disk
from memory_core.encoder import Encoder
from memory_core.training.conversations import Question, Turn

NEVER_CALLED = "http://127.0.0.1:9/v1"  # the discard port: an answer from there is impossible, a call is an error
_USER = "conversation"


class Memory(Protocol):
    """One conversation's memory, empty at first; what it keeps is kept in the folder it was made with."""

    def add(self, turn: Turn) -> None:
        """Keeps a turn so that the next recall can find it."""

    def recall(self, question: Question, k: int) -> list[str]:
        """The ids of at most `k` turns, the best first."""

    def bytes_on_disk(self) -> int:
        """What it has on disk now."""

    def close(self) -> None:
        """Lets go of files and connections."""


class Pooled:
    """One unit vector a text, by the encoder that Mneme has, as sentence-transformers would make it."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.width = encoder.width

    def __call__(self, text: str) -> Vectors:
        vector: Vectors = pooled_vectors(self._encoder, [text])[0]
        return vector

    def lists(self, texts: Sequence[str]) -> list[list[float]]:
        """The same as lists of numbers."""
        return [[float(value) for value in self(text)] for text in texts]


class Mneme:
    """A user of the service, over HTTP."""

    def __init__(self, client: httpx.Client, disk: Disk, user: str) -> None:
        self._client, self._disk, self._user = client, disk, user

    def add(self, turn: Turn) -> None:
        message = {"role": turn.role, "content": turn.text, "external_id": turn.id}
        if turn.speaker is not None:
            message["speaker"] = turn.speaker
        if turn.at is not None:
            message["occurred_at"] = turn.at.isoformat()
        body = {"session_id": turn.session, "messages": [message]}
        self._client.post(f"/v1/users/{self._user}/messages", json=body).raise_for_status()

    def recall(self, question: Question, k: int) -> list[str]:
        body: dict[str, Any] = {"query": question.text, "k": k}
        if question.asked_at is not None:
            body["asked_at"] = question.asked_at.isoformat()
        reply = self._client.post(f"/v1/users/{self._user}/memory/recall", json=body).raise_for_status()
        return [one["external_id"] for one in reply.json()["recalled"]]

    def bytes_on_disk(self) -> int:
        return self._disk.settled_bytes()

    def close(self) -> None:
        summary = self._client.get(f"/v1/users/{self._user}/memory").raise_for_status().json()
        if summary["slots_used"] >= summary["slots"]:
            print(f"{self._user}: the memory was full, so that turns made room for others", file=sys.stderr)


class Mem0:
    """mem0's open-source `Memory` with `infer=False`: what is said is kept as it is, no language model is asked.

    Its vector store is its default, Qdrant in a folder; `threshold=0` lets it return as many as are asked for. With
    its keyword part, which needs the package fastembed and lists of stop words that this would download, it mixes BM25
    with the vectors; what else it takes from spaCy's models, lemmas in place of stems, is left out.
    """

    def __init__(self, folder: Path, pooled: Pooled, keywords: bool = False) -> None:
        os.environ["MEM0_DIR"] = str(folder / "settings")
        os.environ["FASTEMBED_CACHE_PATH"] = str(folder / "models")
        if keywords:
            _stop_words(folder / "models")
        from langchain_core.embeddings import Embeddings
        from mem0 import Memory as Store

        class Ours(Embeddings):  # type: ignore[misc, unused-ignore]
            def embed_documents(self, texts: list[str]) -> list[list[float]]:
                return pooled.lists(texts)

            def embed_query(self, text: str) -> list[float]:
                return pooled.lists([text])[0]

        self._folder = folder
        self._store = Store.from_config(
            {
                "llm": {"provider": "openai", "config": {"api_key": "none", "openai_base_url": NEVER_CALLED}},
                "embedder": {"provider": "langchain", "config": {"model": Ours(), "embedding_dims": pooled.width}},
                "vector_store": {
                    "provider": "qdrant",
                    "config": {"path": str(folder / "qdrant"), "embedding_model_dims": pooled.width, "on_disk": True},
                },
                "history_db_path": str(folder / "history.db"),
            }
        )
        found = self._store.vector_store.keyword_search("words", filters={"user_id": _USER})
        if keywords != (found is not None):
            raise RuntimeError(
                f"mem0's keyword part is {'missing' if keywords else 'there'}: see requirements-peers.txt"
            )

    def add(self, turn: Turn) -> None:
        said = [{"role": turn.role, "content": turn.spoken}]
        self._store.add(said, user_id=_USER, metadata={"turn": turn.id}, infer=False)

    def recall(self, question: Question, k: int) -> list[str]:
        found = self._store.search(question.text, filters={"user_id": _USER}, top_k=k, threshold=0.0)
        return [one["metadata"]["turn"] for one in found["results"]]

    def bytes_on_disk(self) -> int:
        return size_of(self._folder)

    def close(self) -> None:
        self._store.vector_store.client.close()
        self._store.close()


def _stop_words(models: Path) -> None:
    """Lays out, as a model hub's cache, what fastembed's BM25 would download: a list of stop words a language."""
    model = models / "models--Qdrant--bm25"
    snapshot = model / "snapshots" / "here"
    snapshot.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text(snapshot.name)
    from fastembed.sparse.bm25 import supported_languages

    for language in supported_languages:
        (snapshot / f"{language}.txt").write_text("\n".join(STOPWORDS_EN_PLUS) if language == "english" else "")
    (snapshot / "config.json").write_text("{}")


class LangGraph:
    """LangGraph's long-term store in memory, with an embedding index over the text; nothing of it is on disk.

    Its SQLite form loads an extension into sqlite3, which many builds of Python do not allow.
    """

    def __init__(self, folder: Path, pooled: Pooled) -> None:
        from langgraph.store.memory import InMemoryStore

        self._store = InMemoryStore(index={"dims": pooled.width, "embed": pooled.lists, "fields": ["text"]})

    def add(self, turn: Turn) -> None:
        self._store.put((_USER,), turn.id, {"text": turn.spoken})

    def recall(self, question: Question, k: int) -> list[str]:
        return [item.key for item in self._store.search((_USER,), query=question.text, limit=k)]

    def bytes_on_disk(self) -> int:
        return 0

    def close(self) -> None:
        """Nothing is open."""


class Chroma:
    """A collection of Chroma's persistent client, with cosine distance."""

    def __init__(self, folder: Path, pooled: Pooled) -> None:
        import chromadb

        self._folder, self._pooled = folder, pooled
        self._client = chromadb.PersistentClient(folder, settings=chromadb.Settings(anonymized_telemetry=False))
        self._turns = self._client.create_collection(
            _USER, configuration={"hnsw": {"space": "cosine"}}, embedding_function=None
        )

    def add(self, turn: Turn) -> None:
        self._turns.add(ids=[turn.id], embeddings=[self._pooled(turn.spoken)], documents=[turn.spoken])

    def recall(self, question: Question, k: int) -> list[str]:
        found = self._turns.query(query_embeddings=[self._pooled(question.text)], n_results=min(k, self._turns.count()))
        ids: list[str] = found["ids"][0]
        return ids

    def bytes_on_disk(self) -> int:
        return size_of(self._folder)

    def close(self) -> None:
        self._client.close()


class BM25:
    """BM25 over stemmed words. It has no way to add: its index is made anew for each turn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ids: list[str] = []
        self._texts: list[str] = []
        self._words: list[list[str]] = []
        self._index = bm25s.BM25()

    def add(self, turn: Turn) -> None:
        self._ids.append(turn.id)
        self._texts.append(turn.spoken)
        self._words += stemmed_words([turn.spoken])
        self._index = bm25s.BM25()
        self._index.index(self._words, show_progress=False)

    def scores(self, query: str) -> Vectors:
        """A score a turn, in the order in which they were added."""
        (words,) = stemmed_words([query])
        found: Vectors = self._index.get_scores(words) if words else np.zeros(len(self._ids), dtype=np.float32)
        return found

    def recall(self, question: Question, k: int) -> list[str]:
        return ranking(self.scores(question.text), self._ids)[:k]

    def bytes_on_disk(self) -> int:
        if self._ids:
            self._index.save(self._folder / "index")
            texts = json.dumps(dict(zip(self._ids, self._texts, strict=True)), ensure_ascii=False)
            (self._folder / "texts.json").write_text(texts, encoding="utf-8")
        return size_of(self._folder)

    def close(self) -> None:
        """Nothing is open."""


class Mix:
    """Cosine of pooled vectors and BM25, each standardised over the turns, added: nothing is learned."""

    def __init__(self, folder: Path, pooled: Pooled) -> None:
        self._folder, self._pooled = folder, pooled
        self._lexical = BM25(folder)
        self._ids: list[str] = []
        self._vectors: list[Vectors] = []

    def add(self, turn: Turn) -> None:
        self._lexical.add(turn)
        self._ids.append(turn.id)
        self._vectors.append(self._pooled(turn.spoken))

    def recall(self, question: Question, k: int) -> list[str]:
        dense = np.stack(self._vectors) @ self._pooled(question.text)
        both = standardised(np.stack([dense, self._lexical.scores(question.text)]))
        return ranking(both.sum(axis=0), self._ids)[:k]

    def bytes_on_disk(self) -> int:
        if self._vectors:
            np.save(self._folder / "vectors.npy", np.stack(self._vectors))
        return self._lexical.bytes_on_disk()

    def close(self) -> None:
        """Nothing is open."""


MNEME, MEM0, MEM0_KEYWORDS = "Mneme", "mem0", "mem0 with keywords"
PEERS: dict[str, Callable[[Path, Pooled], Memory]] = {
    MEM0: Mem0,
    MEM0_KEYWORDS: lambda folder, pooled: Mem0(folder, pooled, keywords=True),
    "LangGraph store": LangGraph,
    "Chroma": Chroma,
    "BM25": lambda folder, _: BM25(folder),
    "dense + BM25": Mix,
}
PACKAGES = {
    MEM0: ("mem0ai", "qdrant-client", "fastembed"),
    "LangGraph store": ("langgraph",),
    "Chroma": ("chromadb",),
    "BM25": ("bm25s", "PyStemmer"),
}


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class Opened:
    """A memory as a context, with what it had on disk when it was empty."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._empty = memory.bytes_on_disk()

    def grown(self) -> int:
        """Bytes that came onto the disk since it was opened."""
        return self.memory.bytes_on_disk() - self._empty

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.memory.close()
