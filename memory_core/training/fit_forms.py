"""Fits the intents of texts that are foreign to the first encoder, by their form (the multilingual encoder's middle).

On the sentences that the intents are fitted to (`fit_intents`), English ones too: what tells a question in one language
tells it in another. What people say as they talk does not stand; nor does chatter of our own. `fit_meaning` does it.
"""

import random
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from memory_core.language.intents import INTENTS
from memory_core.meaning import Meaning
from memory_core.multilingual_encoder import FORM, MultilingualEncoder
from memory_core.training import fit_intents
from memory_core.training.calibration import minimise_standardised
from memory_core.training.intent_sentences import ENGLISH, Pattern, read

HELD = Path(__file__).with_name("intents_held.txt")
_DECAY = 1e-3
_SENTENCES = 2  # of a pattern, at most
_JOINED = 600  # texts of several sentences
_ENGLISH_COUNTS = 0.5
_TALK_COUNTS = 0.15  # what a text of which only that it does not stand is known counts


def forms(encoder: MultilingualEncoder, texts: Sequence[str], drawn: random.Random) -> Float[Tensor, "texts width"]:
    """The forms of texts, each as a cue or as a message by chance."""
    found = torch.zeros(len(texts), encoder.width)
    asking = [drawn.random() < 0.5 for _ in texts]
    for side in (False, True):
        places = [place for place, one in enumerate(asking) if one is side]
        found[places] = encoder.encode([texts[place] for place in places], side)[:, FORM]
    return found


def fit_forms(fitted: Meaning, encoder: MultilingualEncoder, patterns: Sequence[Pattern], talk: Sequence[str],
              drawn: random.Random) -> None:  # fmt: skip
    """Fits what tells the intents by the form: logistic regressions whose weights decay.

    Args:
        talk: texts that hold for no longer than they are said.
    """
    told = fit_intents.written(patterns, drawn, _JOINED, _SENTENCES)
    english = torch.tensor([patterns[group].language == ENGLISH for group in told.groups.tolist()])
    more = torch.full((len(talk), len(INTENTS)), torch.nan)
    more[:, INTENTS.index("standing")] = 0.0
    truth = torch.cat([told.labels, more])
    ours = torch.where(english, _ENGLISH_COUNTS, 1.0) * told.shares
    share = torch.cat([ours, torch.full((len(talk),), _TALK_COUNTS)])
    seen = forms(encoder, [*told.texts, *talk], drawn)
    known = truth.isfinite()
    counts = share.unsqueeze(1) * known
    counts = counts / counts.sum(0)
    layer = nn.Linear(encoder.width, len(INTENTS))
    nn.init.zeros_(layer.weight)

    def loss(standard: Tensor) -> Tensor:
        value = functional.binary_cross_entropy_with_logits(layer(standard), truth.nan_to_num(), reduction="none")
        return (value * counts).sum()

    minimise_standardised(layer, seen, loss, _DECAY, least=1e-4)
    fitted.asked.copy_(torch.cat([layer.weight, layer.bias.unsqueeze(1)], 1).detach())


def figures(fitted: Meaning, encoder: MultilingualEncoder) -> dict[str, float]:
    """Percent of all intents told right of the sentences held back, by language, and of each intent."""
    held = read([HELD])
    truth = torch.tensor([[torch.nan if one is None else float(one) for one in each.labels] for each in held])
    seen = torch.stack([encoder.encode([one.text for one in held], side)[:, FORM] for side in (False, True)])
    right = ((fitted.intent_logits(seen) > 0) == (truth > 0.5)).float()
    known = truth.isfinite().expand_as(right)
    found = {"all": right[known].mean()}
    for language in sorted({one.language for one in held}):
        mine = torch.tensor([one.language == language for one in held])
        found[language] = right[:, mine][known[:, mine]].mean()
    found |= {name: right[..., place][known[..., place]].mean() for place, name in enumerate(INTENTS)}
    return {name: round(100 * float(share), 1) for name, share in found.items()}
