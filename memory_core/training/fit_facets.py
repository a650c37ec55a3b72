"""Fits what is kept of an utterance: the map to facets, the pieces that take no room, the forms of one word."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from memory_core.encoder import Encoder
from memory_core.training.datasets import RecallError

_DECIDING = (  # frequent words that turn what is asked for into its opposite, or are all that is asked for
    "not", "no", "don", "didn", "doesn", "isn", "wasn", "weren", "aren", "won", "nt", "can", "like", "likes", "liked",
    "know", "knows", "knew", "time", "times",
)  # fmt: skip


def fit_projection(encoder: Encoder, texts: Sequence[str], word: int, seed: int) -> dict[str, Tensor]:
    """The map to facets for texts like these: principal axes about their mean, evened out, and turned at random.

    Evened by the fourth root of their deviations, so that the many weaker axes count; turned (seeded), so that every
    dimension tells as much and its sign is worth a bit (Gong & Lazebnik 2011, iterative quantisation, its start).

    Raises:
        RecallError: fewer word pieces than a facet has dimensions.
    """
    states = torch.cat([_token_states(encoder, texts[start : start + 32]) for start in range(0, len(texts), 32)])
    if len(states) < word:
        raise RecallError(f"too little to train on: {len(states)} word pieces, at least {word} are needed")
    directions = functional.normalize(states, dim=-1)
    mean = directions.mean(0)
    _, deviations, axes = torch.linalg.svd(directions - mean, full_matrices=False)
    turned = torch.linalg.qr(torch.randn(word, word, generator=torch.Generator().manual_seed(seed)))[0]
    projection = (axes[:word].T * (deviations[:word] / deviations[0]) ** -0.25) @ turned
    return {"projection": projection.contiguous(), "centre": mean @ projection}


@torch.no_grad()
def _token_states(encoder: Encoder, texts: Sequence[str]) -> Tensor:
    windows = [cut[0][:128] for cut in encoder.windows(texts) if cut[0]]
    padded = encoder.tokenizer.pad({"input_ids": windows}, return_tensors="pt")
    states = encoder.states(padded)
    held: Tensor = states[padded["attention_mask"].bool().to(states.device)]
    return held


def stopword_pieces(encoder: Encoder, sets: Sequence[Sequence[str]], most: int, lemma_ids: Tensor) -> Tensor:
    """The word pieces found in the most texts of every set, and other forms of the same words (do: did, does).

    Args:
        most: how many are found in the most: those whose share of the texts has the greatest geometric mean.
        lemma_ids: see `word_lemmas`.
    """
    shares = []
    for texts in sets:
        counts = torch.zeros(encoder.vocabulary)
        for cut in encoder.windows(texts):
            counts[sorted({piece for window in cut for piece in window})] += 1
        shares.append((counts / len(texts)).clamp(min=1e-9).log())
    chosen = torch.stack(shares).mean(0).topk(most).indices
    found = torch.isin(lemma_ids[:-1], lemma_ids[chosen])
    found[[piece for window in encoder.windows([" ".join(_DECIDING)])[0] for piece in window]] = False
    return found


def word_lemmas(spellings: Sequence[str]) -> Tensor:
    """Of each word piece the first one that is a form of the same word (go: went, goes, going), and -1 after the last.

    Args:
        spellings: of all pieces. Those that are no whole English word stand for themselves.

    Raises:
        RecallError: simplemma, which knows the forms, is not installed.
    """
    try:
        import simplemma
    except ImportError:
        raise RecallError("simplemma is not installed: pip install 'mneme[train]'") from None
    first: dict[str, int] = {}
    lemma_ids = list(range(len(spellings)))
    for piece, spelling in enumerate(spellings):
        if len(spelling) > 1 and spelling.isascii() and spelling.isalpha():
            lemma_ids[piece] = first.setdefault(simplemma.lemmatize(spelling, lang="en").lower(), piece)
    return torch.tensor([*lemma_ids, -1], dtype=torch.int32)
