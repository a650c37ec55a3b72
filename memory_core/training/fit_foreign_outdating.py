"""Fits what outdates what where the first encoder knows little of the language (`Meaning.pairs`): on our own updates.

`fit_meaning` does it on its way; `python -m memory_core.training.fit_foreign_outdating` does it alone, beside the other
parameters that ship, which it leaves as they are.
"""

import argparse
import random
from collections.abc import Iterator

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from memory_core import meaning, outdating
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.multilingual_encoder import MultilingualEncoder
from memory_core.training import fit_outdating, language_facts
from memory_core.training.fit_outdating import PREFIX, Pairs
from memory_core.training.foreign_memories import Once, answered, remembered
from memory_core.training.foreign_updates import Told, memory_of
from memory_core.training.language_facts import ENGLISH

_FACTS = 40  # of a language, in one memory
_MEMORIES = 4  # of a language
_LIKELY = 3  # slots, those read most, that stand for the earlier one of a pair
_CLOSE = 3.0  # nats below the best within which these lie


def memories(seed: int) -> Iterator[Told]:
    """Memories of one language each: facts before and after the updates, and chatter; nothing that is held back."""
    own, updates = language_facts.read(), language_facts.read_updates(language_facts.UPDATES)
    drawn = random.Random(seed)
    for _ in range(_MEMORIES):
        for tongue, changes in updates.items():
            if tongue == ENGLISH:
                continue
            facts = drawn.sample(list(own[tongue].facts.values()), _FACTS)
            half = _FACTS // 2
            yield memory_of(facts[:half], facts[half:], changes.values(), own[tongue].chatter, drawn)


@torch.no_grad()
def pairs_of(memory: EpisodicMemory, encoder: Once, seed: int) -> Pairs:
    """The pairs of all questions that ask how something stands now: what is read first, and each later change."""
    assert memory.meaning is not None
    memory.meaning.outdating.threshold.fill_(torch.inf)  # what is read is looked at before anything is raised
    seen, truth, question, number = list[Tensor](), list[Tensor](), list[Tensor](), 0
    for told in memories(seed):
        state = remembered(encoder, memory, told.texts)
        cues = [each for each, *_ in told.asked]
        found = zip(told.asked, answered(encoder, memory, state, cues), strict=True)
        for (_, after, before), (of, given, logits, _) in found:
            number += 1
            if of.alike is None or not bool(given.now[0]):
                continue
            read = logits.masked_fill(~given.allowed[0], -torch.inf)
            texts = [told.texts[int(source) - 1] for source in state.source[of.slots]]
            for earlier in read.topk(min(_LIKELY, len(read))).indices.tolist():
                may = outdating.may_outdate(given, earlier)
                if read.max() - read[earlier] > _CLOSE or not bool(may.any()):
                    continue
                right = torch.tensor([before == texts[earlier] and text == after for text in texts])
                seen.append(memory.meaning.pairs(state.meaning[of.slots], of.alike.cosines, read, earlier)[may])
                truth.append(right[may].float())
                question.append(torch.full((int(may.sum()),), number))
    return Pairs(torch.cat(seen), torch.cat(truth), torch.cat(question))


def fit(memory: EpisodicMemory, encoder: Once, seed: int) -> dict[str, int | float]:
    """Fits `Meaning.outdating`; what it does on what it was fitted to."""
    assert memory.meaning is not None
    pairs = pairs_of(memory, encoder, seed)
    memory.meaning.outdating = fit_outdating.fit(pairs, seed)
    told = fit_outdating.figures(memory.meaning.outdating, pairs)
    return told | {"threshold": round(float(memory.meaning.outdating.threshold), 3)}


def main() -> None:
    """Fits, writes the weights, and prints what is to be known."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    encoder = Encoder()
    memory = EpisodicMemory(encoder, multilingual=MultilingualEncoder())
    print(fit(memory, Once(encoder), options.seed))
    assert memory.meaning is not None
    with safe_open(str(meaning.WEIGHTS), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors |= {
        PREFIX + name: tensor.half().contiguous() for name, tensor in memory.meaning.outdating.state_dict().items()
    }
    metadata = {"schema": meaning.SCHEMA, "transformer": encoder.transformer_fingerprint()}
    meaning.WEIGHTS.write_bytes(save(tensors, metadata))


if __name__ == "__main__":
    main()
