"""The network that reads stories, and what it is held against."""

import dataclasses

import pytest
import torch
from torch import Tensor

from memory_core import addressing
from memory_core.stories import baselines
from memory_core.stories.corpus import Corpus, StoryBatch
from memory_core.stories.reader import ReaderConfig, SentenceEncoder, StoryReader
from tests.memory_core.stories.files import short, some

SMALL = ReaderConfig(width=16, heads=2, key=8, steps=3, dropout=0.0)


@pytest.fixture(scope="module")
def batch() -> StoryBatch:
    """Three short stories, with two questions each."""
    _, vocabulary = some(5)
    return Corpus([short(seed) for seed in (1, 2, 3)], vocabulary).batch(torch.arange(3).numpy())


def network(model: str = "reader", config: ReaderConfig = SMALL) -> torch.nn.Module:
    torch.manual_seed(1)
    return baselines.build(model, some(5)[1], config).eval()


def test_the_memory_is_a_dnc_with_open_gates() -> None:
    """Write gate and allocation gate 1, free gates 0: step t writes slot t whole, and the links lead on by one."""
    slots = 6
    usage, written, precedence = torch.zeros(1, slots), torch.zeros(1, slots), torch.zeros(1, slots)
    links = torch.zeros(1, slots, slots)
    retention = torch.ones(1, slots)  # what free gates that are shut leave
    for step in range(slots):
        usage = addressing.usage_after_write(usage, written, retention)
        written = addressing.allocation_weighting(usage)
        links = addressing.links_after_write(links, written, precedence)
        precedence = addressing.precedence_after_write(precedence, written)
        assert torch.allclose(written, torch.eye(slots)[step], atol=1e-4)
    assert torch.allclose(links[0], torch.diag(torch.ones(slots - 1), -1), atol=1e-4)


@pytest.mark.parametrize("model", baselines.NAMES)
def test_an_answer_does_not_know_what_is_told_later(model: str, batch: StoryBatch) -> None:
    reader = network(model)
    before, _ = reader(batch)
    changed = batch.story.clone()
    changed[:, 3:] = changed[:, :1]
    after, followed = reader(dataclasses.replace(batch, story=changed))
    assert torch.allclose(before[:, 0], after[:, 0], atol=1e-5)
    assert not torch.allclose(before[:, 1], after[:, 1], atol=1e-3)
    if model == "reader":
        assert followed[:, 0, :, :, 3:].abs().max() < 1e-6


@pytest.mark.parametrize("model", baselines.NAMES)
def test_questions_are_answered_each_as_if_it_were_alone(model: str, batch: StoryBatch) -> None:
    reader = network(model)
    together, _ = reader(batch)
    by_question = ("question", "told", "answer", "there", "task", "supporting")
    alone = dataclasses.replace(batch, **{name: getattr(batch, name)[:, 1:] for name in by_question})
    assert torch.allclose(together[:, 1:], reader(alone)[0], atol=1e-5)


def test_weightings_are_weightings(batch: StoryBatch) -> None:
    _, followed = network()(batch)
    assert followed.shape == (3, 2, SMALL.steps, 2 * SMALL.heads, batch.story.shape[1])
    assert followed.min() >= 0.0
    assert followed.sum(-1).max() <= 1.0 + 1e-5


def test_a_read_begins_at_what_is_like_that_which_asks() -> None:
    torch.manual_seed(2)
    heads = StoryReader(some(5)[1], SMALL).heads
    vectors = torch.nn.functional.layer_norm(torch.randn(1, 40, SMALL.width), [SMALL.width])
    keys, _ = heads.know(vectors, vectors)
    with torch.no_grad():
        heads.query.bias.zero_()
    logits = heads.ask(vectors)[..., : SMALL.key] @ keys
    assert (logits.argmax(-1) == torch.arange(40)).float().mean() > 0.8


def test_what_was_read_is_added_as_it_stands_at_first() -> None:
    heads = StoryReader(some(5)[1]).heads
    written, heard = torch.randn(2, 1, 6, 96)
    _, values = heads.know(written, heard)
    fourth, second = (torch.eye(6)[place].expand(1, 4, 1, 6) for place in (3, 1))
    read = (torch.cat([fourth, second], 1) @ values).transpose(1, 2).flatten(2)
    added = heads.add(read) - heads.add(torch.cat([part(torch.zeros(96)) for part in heads.values]))
    assert torch.allclose(added, written[:, 3:4] + heard[:, 1:2], atol=1e-4)


def test_a_word_matters_the_less_the_more_of_a_story_s_sentences_have_it() -> None:
    stories, vocabulary = some(5)
    told = Corpus(stories, vocabulary).told()
    number = {word: place for place, word in enumerate(vocabulary.words, 1)}
    for word in ("the", "mary", "milk"):
        having = [sum(word in sentence for sentence in story.sentences) for story in stories]
        of = [len(story.sentences) for story, count in zip(stories, having, strict=True) if count]
        assert float(told[number[word]]) == pytest.approx(sum(having) / sum(of))
    encoder = SentenceEncoder(vocabulary, 16)
    encoder.weigh(told)
    the, before, milk = (encoder.matters.weight[number[word]].item() for word in ("the", "before", "milk"))
    assert 0.0 <= the < before < milk
    assert before == pytest.approx(0.2)


def test_who_did_something_is_not_who_it_was_done_to() -> None:
    _, vocabulary = some(5)
    numbers = vocabulary.numbers([("mary", "took", "john"), ("john", "took", "mary")])
    torch.manual_seed(1)
    one, other = StoryReader(vocabulary, SMALL).encoder(numbers)
    assert not torch.allclose(one, other, atol=0.05)


@pytest.mark.parametrize("part", ["links", "search", "read_first"])
def test_what_is_left_out_changes_what_is_read(part: str, batch: StoryBatch) -> None:
    whole, less = network(), network(config=dataclasses.replace(SMALL, **{part: False}))
    less.load_state_dict(whole.state_dict())
    logits, followed = less(batch)
    assert torch.isfinite(logits).all()
    assert not torch.allclose(followed, whole(batch)[1], atol=1e-4)


@pytest.mark.parametrize("model", baselines.NAMES)
def test_every_parameter_learns(model: str, batch: StoryBatch) -> None:
    reader = network(model).train()
    logits: Tensor = reader(batch)[0]
    logits.square().sum().backward()  # type: ignore[no-untyped-call]
    idle = [name for name, each in reader.named_parameters() if each.grad is None or not each.grad.abs().sum()]
    unused = {"dnc.output.bias"} if model == "dnc" else set()
    assert set(idle) <= unused, idle


def test_a_story_may_be_longer_than_any_before() -> None:
    _, vocabulary = some(5)
    reader = StoryReader(vocabulary, SMALL).eval()
    corpus = Corpus(some(5)[0], vocabulary)
    longest = int(corpus.lengths.argmax())
    logits, _ = reader(corpus.batch(torch.tensor([longest]).numpy()))
    assert torch.isfinite(logits).all()
