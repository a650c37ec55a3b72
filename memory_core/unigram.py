"""Cuts text into the word pieces of a unigram language model: the likeliest ones (Kudo 2018).

Small on purpose: a quarter of a million pieces are 40 MB here, and 250 in the tokenizers of `transformers`.
"""

from array import array
from collections.abc import Sequence

_UNKNOWN_COST = 10.0  # below the least likely piece, as sentencepiece has it


class Unigram:
    """The pieces and their log probabilities.

    Args:
        pieces: in the order of their numbers.
        scores: of each the log probability.
        unknown: the number of what stands for a character that no piece has.
    """

    def __init__(self, pieces: Sequence[str], scores: Sequence[float], unknown: int) -> None:
        self._numbers = {piece: number for number, piece in enumerate(pieces) if number != unknown}
        self._scores = array("d", scores)
        self._unknown, self._cost = unknown, min(scores) - _UNKNOWN_COST
        self._longest = max(map(len, pieces))

    def numbers(self, text: str) -> list[int]:
        """The numbers of the pieces that make up the text with the greatest probability, by Viterbi's algorithm."""
        find, scores, size = self._numbers.get, self._scores, len(text)
        best = [0.0] + [float("-inf")] * size
        came = [(0, 0)] * (size + 1)
        for start in range(size):
            here = best[start]
            alone = start + 1
            if here + self._cost > best[alone]:
                best[alone], came[alone] = here + self._cost, (start, self._unknown)
            for end in range(alone, min(size, start + self._longest) + 1):
                number = find(text[start:end])
                if number is not None and here + scores[number] > best[end]:
                    best[end], came[end] = here + scores[number], (start, number)
        found = []
        place = size
        while place:
            place, number = came[place]
            found.append(number)
        return found[::-1]
