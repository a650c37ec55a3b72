"""Token ids for text that the encoder's vocabulary has no pieces for: other scripts, symbols, emoji.

A tokenizer gives all such text one id, so that any two unknown words would match exactly. Here an unknown word becomes
the hashed ids of its character trigrams, numbered after the vocabulary (as in fastText: Bojanowski et al. 2017, section
3.2). The same word matches itself, a word matches others as far as they share characters, and nothing matches by being
unknown.
"""

import hashlib
import unicodedata

import torch
from jaxtyping import Float
from torch import Tensor

BUCKETS = 8_192  # hashed ids; two different trigrams share one with a chance of 1 in so many
_GRAM = 3  # characters
_INVISIBLE = ("\u200d", "\ufe0e", "\ufe0f")  # joiner and variation selectors: how a symbol looks, not which it is
_SEED = 8192


def separate_symbols(text: str) -> str:
    """Puts spaces around symbols, so that a word with an emoji beside it stays a word: "Biscuit🐶" -> "Biscuit 🐶 ".

    Text is brought to one form first (NFKC): wide letters and ligatures become the letters that they stand for.
    """
    if text.isascii():
        return text
    spaced = []
    for character in unicodedata.normalize("NFKC", text):
        if character in _INVISIBLE:
            continue
        spaced.append(f" {character} " if unicodedata.category(character) in ("So", "Sk") else character)
    return "".join(spaced)


def hashed_ids(word: str, first: int) -> list[int]:
    """The ids of an unknown word: one for each character trigram, or one for the whole of a shorter word.

    Args:
        first: the first id after the vocabulary.
    """
    word = word.lower()
    grams = [word[start : start + _GRAM] for start in range(max(1, len(word) - _GRAM + 1))]
    return [first + int.from_bytes(hashlib.blake2b(gram.encode(), digest_size=4).digest()) % BUCKETS for gram in grams]


def hashed_facets(word: int) -> Float[Tensor, "buckets word"]:
    """A unit vector for each hashed id: random signs, always the same, so that different ids are all but orthogonal."""
    random = torch.Generator().manual_seed(_SEED)
    signs = torch.randint(0, 2, (BUCKETS, word), generator=random, dtype=torch.int8) * 2 - 1
    length: float = word**-0.5
    return signs.float() * length
