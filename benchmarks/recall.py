"""How often the memory finds the turns that answer a question, beside BM25, pooled vectors and their mix.

Mneme is measured as an application meets it: every turn of a conversation is imported over HTTP into one user's memory,
then each question is put to `memory/recall`. The others are given the same turns and questions in the same run, the
vectors by the same transformer. Evidence recall@k of a question is |evidence ∩ top k| / |evidence|; a figure is the
mean over the questions that have evidence, without the category `adversarial`, which the conversation does not answer.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import bm25s
import httpx
import numpy as np
import Stemmer
import torch
from torch.nn import functional

from benchmarks.serving import Server, told_in_one_line
from memory_core.encoder import Encoder
from memory_core.training.conversations import DATA, Conversation, MissingData, Question, Turn, read_conversations

CUTS = (1, 5, 10, 20)
MOST_MESSAGES = 1_000  # of one request
PARAMETERS = "those that ship: memory_core/weights/README.md"
_POOLED_PIECES = 256  # what sentence-transformers reads of a text with this model

Vectors = np.ndarray[tuple[int, ...], np.dtype[np.float32]]


@dataclass(slots=True)
class Tally:
    """One method's outcomes: for each question its category and recall at each cut; and the seconds that it took."""

    outcomes: list[tuple[str, tuple[float, ...]]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, question: Question, ranked: Sequence[str]) -> None:
        """Counts a question's ranking, the best first."""
        self.outcomes.append((question.category, tuple(evidence_recall(question.evidence, ranked, k) for k in CUTS)))

    def means(self, category: str | None = None) -> list[float]:
        """Mean recall at each cut, in percent; of one category, or of all."""
        chosen = [values for name, values in self.outcomes if category in (None, name)]
        return [100 * sum(column) / len(chosen) for column in zip(*chosen, strict=True)]


def evidence_recall(evidence: frozenset[str], ranked: Sequence[str], k: int) -> float:
    """|evidence ∩ top k| / |evidence|."""
    return len(evidence & set(ranked[:k])) / len(evidence)


class Mneme:
    """The service, one user a conversation."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.import_seconds = self.recall_seconds = 0.0
        self.full: list[str] = []  # conversations that did not fit

    def remember(self, user: str, turns: Sequence[Turn]) -> None:
        """Imports the turns, in order."""
        began = time.perf_counter()
        for session, said in groupby(turns, lambda turn: turn.session):
            messages = [_message(turn) for turn in said]
            for start in range(0, len(messages), MOST_MESSAGES):
                body = {"session_id": session, "messages": messages[start : start + MOST_MESSAGES]}
                self._client.post(f"/v1/users/{user}/messages", json=body).raise_for_status()
        self.import_seconds += time.perf_counter() - began
        summary = self._client.get(f"/v1/users/{user}/memory").raise_for_status().json()
        if summary["slots_used"] >= summary["slots"]:
            self.full.append(user)

    def recall(self, user: str, question: Question) -> list[str]:
        """The turns recalled, the strongest first."""
        body: dict[str, Any] = {"query": question.text, "k": max(CUTS)}
        if question.asked_at is not None:
            body["asked_at"] = question.asked_at.isoformat()
        began = time.perf_counter()
        reply = self._client.post(f"/v1/users/{user}/memory/recall", json=body).raise_for_status()
        self.recall_seconds += time.perf_counter() - began
        return [one["external_id"] for one in reply.json()["recalled"]]


def _message(turn: Turn) -> dict[str, str]:
    message = {"role": turn.role, "content": turn.text, "external_id": turn.id}
    if turn.speaker is not None:
        message["speaker"] = turn.speaker
    if turn.at is not None:
        message["occurred_at"] = turn.at.isoformat()
    return message


def stemmed_words(texts: Sequence[str]) -> list[list[str]]:
    """Each text's words by Snowball's English stemmer, without stop words."""
    found: list[list[str]] = bm25s.tokenize(
        list(texts), stopwords="en", stemmer=Stemmer.Stemmer("english"), return_ids=False, show_progress=False
    )
    return found


def bm25_scores(texts: Sequence[str], queries: Sequence[str]) -> Vectors:
    """BM25 of every query (a row) against every text, over `stemmed_words`."""
    index = bm25s.BM25()
    index.index(stemmed_words(texts), show_progress=False)
    scores = [index.get_scores(query) if query else np.zeros(len(texts)) for query in stemmed_words(queries)]
    stacked: Vectors = np.stack(scores).astype(np.float32)
    return stacked


@torch.no_grad()
def pooled_vectors(encoder: Encoder, texts: Sequence[str], at_once: int = 32) -> Vectors:
    """One unit vector a text: the mean of the transformer's states before our projection, as sentence-transformers."""
    rows = torch.empty(len(texts), encoder.width)
    by_length = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    for start in range(0, len(texts), at_once):
        chosen = by_length[start : start + at_once]
        said = [texts[index] for index in chosen]
        tokens = encoder.tokenizer(said, padding=True, truncation=True, max_length=_POOLED_PIECES, return_tensors="pt")
        states = encoder.states(tokens)
        held = tokens["attention_mask"].unsqueeze(-1).to(states.device)
        rows[chosen] = functional.normalize((states * held).sum(1) / held.sum(1), dim=-1).cpu()
    return rows.numpy()


def standardised(scores: Vectors) -> Vectors:
    """Each row with mean 0 and deviation 1; a row of equal scores becomes zeros."""
    deviation = scores.std(axis=1, keepdims=True)
    centred: Vectors = (scores - scores.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1)
    return centred


def ranking(scores: Vectors, ids: Sequence[str]) -> list[str]:
    """The ids of the greatest scores, the earlier turn first among equals."""
    return [ids[index] for index in np.argsort(-scores, kind="stable")[: max(CUTS)]]


def tally_baselines(tallies: Mapping[str, Tally], conversation: Conversation, encoder: Encoder) -> None:
    """Adds what BM25, pooled vectors and their z-score mix find, over bare texts and over texts with their speaker."""
    queries = [question.text for question in conversation.questions]
    ids = [turn.id for turn in conversation.turns]
    forms = {
        "text": [turn.text for turn in conversation.turns],
        "speaker: text": [turn.spoken for turn in conversation.turns],
    }
    asked = pooled_vectors(encoder, queries)
    for form, texts in forms.items():
        began = time.perf_counter()
        lexical = bm25_scores(texts, queries)
        between = time.perf_counter()
        pooled = asked @ pooled_vectors(encoder, texts).T
        done = time.perf_counter()
        seconds = (between - began, done - between, done - began)
        mixed = standardised(lexical) + standardised(pooled)
        for name, scores, took in zip(BASELINES, (lexical, pooled, mixed), seconds, strict=True):
            tally = tallies[f"{name} ({form})"]
            tally.seconds += took
            for question, row in zip(conversation.questions, scores, strict=True):
                tally.add(question, ranking(row, ids))


BASELINES = ("BM25", "pooled cosine", "z-score mix")
METHODS = ("Mneme", *(f"{name} ({form})" for form in ("text", "speaker: text") for name in BASELINES))


def table(tallies: Mapping[str, Tally]) -> str:
    """All methods, then Mneme by category."""
    head = "".join(f"{f'R@{k}':>8}" for k in CUTS)
    lines = [f"{'method':<28}{head}{'questions':>11}{'seconds':>10}"]
    for name, tally in tallies.items():
        lines.append(f"{name:<28}{_cells(tally.means())}{len(tally.outcomes):>11}{tally.seconds:>10.1f}")
    lines += ["", f"{'Mneme by category':<28}{head}{'questions':>11}"]
    for category, count in categories(tallies["Mneme"]).items():
        lines.append(f"{category:<28}{_cells(tallies['Mneme'].means(category))}{count:>11}")
    return "\n".join(lines)


def categories(tally: Tally) -> dict[str, int]:
    """How many questions each category has, the largest first."""
    names = [name for name, _ in tally.outcomes]
    return dict(sorted(((name, names.count(name)) for name in set(names)), key=lambda entry: (-entry[1], entry[0])))


def _cells(values: Iterable[float]) -> str:
    return "".join(f"{value:>8.1f}" for value in values)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Runs the benchmark, prints its table, and returns all figures."""
    conversations = read_conversations(options.data, options.set)[: options.limit]
    asked = [conversation for conversation in conversations if conversation.questions]
    if not asked:
        raise MissingData(f"the data set {options.set} has no question with evidence: choose another with --set")
    tallies = {name: Tally() for name in METHODS}
    with Server() as server, server.client() as client:
        fingerprint = client.get("/version").raise_for_status().json()["fingerprint"]
        mneme = Mneme(client)
        for number, conversation in enumerate(asked, 1):
            user = f"conversation-{number}"
            _progress(
                f"{user} of {len(asked)}: {len(conversation.turns)} turns, {len(conversation.questions)} questions"
            )
            mneme.remember(user, conversation.turns)
            for question in conversation.questions:
                tallies["Mneme"].add(question, mneme.recall(user, question))
    tallies["Mneme"].seconds = mneme.import_seconds + mneme.recall_seconds
    _progress("the baselines")
    encoder = Encoder()
    for conversation in asked:
        tally_baselines(tallies, conversation, encoder)

    turns = sum(len(conversation.turns) for conversation in asked)
    questions = len(tallies["Mneme"].outcomes)
    print(f"Evidence recall on {options.set}: {len(asked)} conversations, {turns} turns, {questions} questions")
    print(f"Mneme's parameters are {PARAMETERS} (fingerprint {fingerprint}).\n")
    print(table(tallies))
    each = 1000 * mneme.recall_seconds / questions
    print(f"\nMneme over HTTP: {mneme.import_seconds:.1f} s to import, {each:.1f} ms a recall with k = {max(CUTS)}.")
    if mneme.full:
        print(f"Memories that were full, so that turns made room for others: {', '.join(mneme.full)} (raise SLOTS)")
    return {
        "set": options.set,
        "conversations": len(asked),
        "turns": turns,
        "questions": questions,
        "parameters": PARAMETERS,
        "fingerprint": fingerprint,
        "full": mneme.full,
        "import_seconds": mneme.import_seconds,
        "recall_ms": each,
        "recall_at": list(CUTS),
        "methods": {
            name: {"recall": tally.means(), "seconds": tally.seconds} for name, tally in tallies.items()
        },
        "categories": {
            category: {"recall": tallies["Mneme"].means(category), "questions": count}
            for category, count in categories(tallies["Mneme"]).items()
        },
    }  # fmt: skip


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recall", description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data sets (default: %(default)s)")
    parser.add_argument("--set", default="locomo-dev", help="which of them (default: %(default)s)")
    parser.add_argument("--limit", type=int, help="take only so many conversations")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark."""
    options = _options(arguments)
    with told_in_one_line(MissingData):
        figures = measure(options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
