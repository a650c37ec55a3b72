"""The memory network equals its equations in loops, and learns to look something up."""

from typing import Any

import pytest
import torch
from torch import Tensor

from memory_core.memory_network import MemoryNetwork, MemoryNetworkConfig, position_encoding

VOCABULARY = 11


def network(seed: int = 0, **options: Any) -> MemoryNetwork:
    torch.manual_seed(seed)
    found = MemoryNetwork(VOCABULARY, MemoryNetworkConfig(**({"sentences": 5, "word": 4} | options))).double()
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.mul_(5.0)
    return found


def stories() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(1)
    story = torch.randint(1, VOCABULARY, (3, 7, 4), generator=random)
    story[:, 2, 2:] = 0
    return story, torch.tensor([7, 3, 1]), torch.randint(1, VOCABULARY, (3, 3), generator=random)


def encoded(table: Tensor, words: list[int], positions: bool) -> Tensor:
    """sum_j l_j o A x_j in loops."""
    there = [word for word in words if word]
    total, d = torch.zeros(table.shape[1]).double(), table.shape[1]
    for j, word in enumerate(there, start=1):
        for k in range(1, d + 1):
            share = (1 - j / len(there)) - (k / d) * (1 - 2 * j / len(there)) if positions else 1.0
            total[k - 1] += share * table[word, k - 1]
    return total


@pytest.mark.parametrize("positions", [True, False])
@pytest.mark.parametrize("tying", ["adjacent", "layer-wise"])
def test_answers_are_those_of_the_equations(tying: str, positions: bool) -> None:
    model = network(tying=tying, position_encoding=positions)
    p = {name: parameter.detach() for name, parameter in model.named_parameters()}
    story, lengths, question = stories()
    logits = model(story, lengths, question)
    for row in range(3):
        sentences = story[row, : int(lengths[row])].tolist()[-5:]
        asked = p["embeddings.0.weight"] if tying == "adjacent" else p["question.weight"]
        u = encoded(asked, question[row].tolist(), positions)
        for hop in range(3):
            a, c = (hop, hop + 1) if tying == "adjacent" else (0, 1)
            inputs, outputs = [], []
            for ago, sentence in enumerate(reversed(sentences)):
                inputs.append(encoded(p[f"embeddings.{a}.weight"], sentence, positions) + p[f"times.{a}"][ago])
                outputs.append(encoded(p[f"embeddings.{c}.weight"], sentence, positions) + p[f"times.{c}"][ago])
            weights = torch.softmax(torch.stack([u @ m for m in inputs]), 0)
            o = sum(w * x for w, x in zip(weights, outputs, strict=True))
            u = o + (u if tying == "adjacent" else p["between.weight"] @ u)
        expected = (p["embeddings.3.weight"] if tying == "adjacent" else p["answer_words.weight"]) @ u
        torch.testing.assert_close(logits[row], expected)


def test_a_story_written_sentence_by_sentence_gives_the_same_answer() -> None:
    model, (story, _, question) = network(), stories()
    state = model.initial_state(3, words=4)
    for sentence in story.unbind(1):
        before = state.clone()
        after = model.write(state, sentence)
        assert torch.equal(state.story, before.story)
        state = after
    logits, attended = model.read(state, question)
    torch.testing.assert_close(logits, model(story, torch.tensor([7, 7, 7]), question))
    torch.testing.assert_close(attended.sum(-1), torch.ones(3, 3).double())


def test_without_a_story_the_question_alone_answers() -> None:
    model, (story, _, question) = network(), stories()
    logits = model(story, torch.tensor([0, 0, 0]), question)
    assert torch.isfinite(logits).all()
    logits.sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_the_word_that_is_none_counts_for_nothing() -> None:
    words = torch.tensor([[3, 4, 0, 0]])
    torch.testing.assert_close(position_encoding(words, 4)[:, :2], position_encoding(words[:, :2], 4))
    assert (network().state_dict()["embeddings.0.weight"][0] == 0).all()


def test_position_encoding_tells_the_order_of_words_apart() -> None:
    story, lengths, question = stories()
    turned = story.flip(2)
    model, bag = network(), network(position_encoding=False)
    assert not torch.allclose(model(turned, lengths, question), model(story, lengths, question))
    torch.testing.assert_close(bag(turned, lengths, question), bag(story, lengths, question))


def test_it_learns_to_look_up_who_has_what() -> None:
    """Each sentence gives a thing (1 to 4) to a person (5 to 8); the question names the thing."""
    random = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = MemoryNetwork(9, MemoryNetworkConfig(sentences=4, word=16, hops=1))
    descent = torch.optim.Adam(model.parameters(), lr=0.02)

    def batch(size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        things = torch.stack([torch.randperm(4, generator=random) + 1 for _ in range(size)])
        people = torch.randint(5, 9, (size, 4), generator=random)
        asked = torch.randint(4, (size, 1), generator=random)
        story = torch.stack([things, people], -1)
        return story, torch.full((size,), 4), things.gather(1, asked), people.gather(1, asked)[:, 0]

    for _ in range(150):
        *inputs, answer = batch(64)
        loss = torch.nn.functional.cross_entropy(model(*inputs), answer)
        descent.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        descent.step()
    *inputs, answer = batch(200)
    assert float((model(*inputs).argmax(-1) == answer).float().mean()) > 0.98
