"""What a text wants: whether it asks, of what, and whether it tells what holds until it is revoked.

Small classifiers on the encoder's frozen states and on which word pieces stand beside each other, one for each intent,
each calibrated: a logistic regression. `mneme train recall` learns them, `mneme train intents` them alone, from the
sentences in `memory_core/training/intents`. It must not know who speaks or what is remembered.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from memory_core import weights
from memory_core.encoder import Encoder, Utterance
from memory_core.unknown_text import BUCKETS as UNKNOWN

INTENTS = (
    "asks",  # it contains a question or a request
    "only_asks",  # and tells nothing
    "asks_of_now",  # how something stands now: "Where do I live?", not "Where did I live?"
    "follow_up_forward",  # what came after what the last turn was about: "And then?"
    "follow_up_backward",  # what came before it: "And before that?"
    "asks_of_conversation",  # what was said or asked in talks with the assistant: "Which book did you recommend?"
    "asks_what_was_asked",  # of that, what the one who asks had asked before: "What did I ask you about visas?"
    "standing",  # it tells what holds until revoked and matters at every turn: "Call me Sam", "I'm vegetarian"
    "negative",  # it denies, or tells or asks of a dislike: "I can't stand heights"
    "about_self",  # its matter is the speaker's own, not another's: "I drive a Fiat"
    "tells_change",  # it tells that something is no longer as it was: "I moved to Rome", "Rollo died", "no more coffee"
    "asks_of_world",  # what can be answered by who was told nothing: facts, sums, advice, what the assistant is
)
_WIDTH = 256  # of a facet
BUCKETS = 8192  # for pieces and their neighbours
_FACETS_COUNT = 3.0  # so many times as much as a piece, before anything is learned
_START, _END = 40_009, 40_013  # stand before the first and after the last piece
_PRIMES = (0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D, 0x27D4EB2F)
FEATURES = 4 * _WIDTH + BUCKETS


def intent_input(utterance: Utterance, skip: int = 0, vocabulary: int | None = None) -> Float[Tensor, " features"]:
    """What the intents are told by: the mean, greatest, first and last of the facets, and which pieces stand together.

    Args:
        utterance: with all of its pieces; of stored messages too, before stopwords are dropped.
        skip: how many leading pieces are no part of the text, as those of the header "8 May 2023, Ann: ".
        vocabulary: the encoder's; unknown text, as an emoji, is then left out.
    """
    facets, ids = utterance.facets[skip:], utterance.token_ids[skip:]
    if vocabulary is not None:
        known = ids < vocabulary - UNKNOWN
        facets, ids = facets[known], ids[known]
    if not len(ids):
        return utterance.facets.new_zeros(FEATURES)
    pooled = _FACETS_COUNT * torch.cat([facets.mean(0), facets.amax(0), facets[0], facets[-1]])
    grams = torch.zeros(BUCKETS, device=facets.device)
    grams[_buckets(ids)] = (1.0 + len(ids) / 16) ** -0.5
    return torch.cat([pooled, grams])


def _buckets(ids: Int[Tensor, " pieces"]) -> Int[Tensor, " grams"]:
    """A number for each piece, pair, pair with a gap and triple of pieces (hashing: Weinberger et al. 2009)."""
    framed = torch.cat([ids.new_tensor([_START]), ids, ids.new_tensor([_END])]).long()
    kinds = [(0,), (0, 1), (0, 2), (0, 1, 2)]
    found = []
    for kind, steps in enumerate(kinds):
        length = len(framed) - steps[-1]
        mixed = torch.full_like(framed[:length], kind * 7919)
        for step, prime in zip(steps, _PRIMES, strict=False):
            mixed = (mixed ^ (framed[step : step + length] * prime)) * 0x01000193 & 0x7FFFFFFFFFFF
        found.append((mixed ^ (mixed >> 17)) % BUCKETS)
    return torch.cat(found)


class Intents(nn.Module):
    """Turns `intent_input`s into a probability for each of `INTENTS`.

    Example:
        >>> cue = encoder.encode(["And after that?"])[0]
        >>> intents(intent_input(cue).unsqueeze(0))[0, INTENTS.index("follow_up_forward")]
    """

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(len(INTENTS), FEATURES))
        self.bias = nn.Parameter(torch.zeros(len(INTENTS)))

    def logits(self, inputs: Float[Tensor, "texts features"]) -> Float[Tensor, "texts intents"]:
        """The log odds of each intent."""
        return inputs @ self.weight.T + self.bias

    def forward(self, inputs: Float[Tensor, "texts features"]) -> Float[Tensor, "texts intents"]:
        """The probability of each intent, each for itself: a text may have several."""
        return torch.sigmoid(self.logits(inputs))


def load(encoder: Encoder) -> Intents | None:
    """The intents that ship, if they are this encoder's."""
    learned = weights.of(encoder.transformer_fingerprint(), _WIDTH)
    if learned is None or "intents.weight" not in learned:
        return None
    intents = Intents()
    intents.load_state_dict({name: learned[f"intents.{name}"] for name in intents.state_dict()})
    return intents.requires_grad_(False).to(encoder.device)
