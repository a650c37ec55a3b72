"""The training of recall, on conversations small enough for a test: it learns, goes on, ships, and refuses."""

import json
import lzma
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from memory_core import weights, writing
from memory_core.encoder import Encoder
from memory_core.message_features import FEATURE_NAMES, LEARNED, features
from memory_core.read_mode_prototypes import FOLLOW_UPS
from memory_core.reranker import SIGNALS, WINDOW, Reranker
from memory_core.training import calibration, datasets, fit_facets, fit_reader, recall
from memory_core.training.conversations import Conversation, Question, Turn
from memory_core.training.datasets import RecallBatch, RecallError, RecallTraining
from tests.memory_core.test_reranker import telling

SMALL = RecallTraining(
    sets={"friendsqa": 1.0}, held=2, steps=120, batch_size=8, scenes=2, sampled=40, stopword_mask=5, patterns=60
)
THINGS = ("piano", "bicycle", "violin", "kettle")
COLOURS = ("red", "green", "yellow", "black", "white", "brown", "purple", "orange")
PEOPLE = ("Ada", "Bela", "Cleo", "Dora")


def scene(number: int) -> str:
    """A scene in which who asks is answered by the next turn, which shares no word with the question put later."""
    turns, questions = [], []
    for place in range(8):
        thing = f"{COLOURS[number]} {THINGS[place // 2]}"
        text = f"And what of the {thing}, dear?" if place % 2 == 0 else f"Behind door {place}, I am sure of it."
        turns.append({
            "id": f"{number}:{place}", "session": f"s{number}", "role": "user", "time": None,
            "speaker": PEOPLE[(place + number + place % 2 + 1) % 4], "text": text,
        })  # fmt: skip
        if place % 2:
            question = f"Where is the {thing}?"
            questions.append({
                "id": str(place), "question": question, "answer": "", "category": "Where", "asked_at": None,
                "evidence": [f"{number}:{place}"],
            })  # fmt: skip
    return json.dumps({"id": str(number), "turns": turns, "questions": questions})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "recall").mkdir()
    with lzma.open(folder / "recall" / "friendsqa.jsonl.xz", "wt", encoding="utf-8") as lines:
        lines.write("\n".join(scene(number) for number in range(8)) + "\n")
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    recall.train(data, folder, SMALL)
    return folder


def test_it_learns_that_the_answer_follows_the_question(run: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    trained, untrained = (result[name]["friendsqa"] for name in ("held", "held, untrained"))
    assert trained["hit@1"] >= untrained["hit@1"] + 30
    losses = [json.loads(line)["loss"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert len(losses) == SMALL.steps
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_its_prototypes_of_follow_ups_are_of_the_map_that_it_fitted(run: Path) -> None:
    learned, encoder = load_file(run / "recall.safetensors"), Encoder()
    encoder.projection, encoder.centre = learned["projection"], learned["centre"]
    encoded = [cue.pooled for cue in encoder.encode(FOLLOW_UPS)]
    torch.testing.assert_close(torch.stack(encoded), learned["follow_up_prototypes"])


def test_its_weights_are_those_of_the_transformer_that_it_was_trained_for(run: Path, encoder: Encoder) -> None:
    path = run / "recall.safetensors"
    learned = weights.of(encoder.transformer_fingerprint(), 256, path)
    assert learned is not None
    assert learned["projection"].shape == (384, 256)
    stopword_mask, lemma_ids = learned["stopword_mask"], learned["lemma_ids"]
    assert len(torch.unique(lemma_ids[:-1][stopword_mask])) == SMALL.stopword_mask  # with all forms of so many words
    assert not torch.isin(lemma_ids[:-1][~stopword_mask], lemma_ids[:-1][stopword_mask]).any()
    assert not any(tensor.isnan().any() for tensor in learned.values())
    assert weights.of("another", 256, path) is None
    assert weights.of(encoder.transformer_fingerprint(), 128, path) is None
    assert weights.of(encoder.transformer_fingerprint(), 256, run / "none") is None


def test_damaged_weights_are_refused(run: Path, tmp_path: Path) -> None:
    whole = (run / "recall.safetensors").read_bytes()
    ours, theirs = (f'"schema":"{schema}"'.encode() for schema in (weights.SCHEMA, "?"))
    for number, content in enumerate((whole[:1000], b"", whole.replace(ours, theirs))):
        (tmp_path / str(number)).write_bytes(content)
        with pytest.raises(weights.WeightsError):
            weights.of("any", 256, tmp_path / str(number))


def test_forms_of_a_word_have_one_root() -> None:
    spellings = ["go", "goes", "went", "##going", "Paris", "activity", "activities", "a", "[CLS]", "bought", "buy"]
    assert fit_facets.word_lemmas(spellings).tolist() == [0, 0, 0, 3, 4, 5, 5, 7, 8, 9, 9, -1]


def test_its_write_gate_learns_from_the_memories_that_are_not_held_back(run: Path) -> None:
    learned, written = load_file(run / "recall.safetensors"), load_file(run / "written.safetensors")
    assert any(name.startswith("write_gate.") for name in written)
    assert all(torch.equal(learned[name], tensor) for name, tensor in written.items())


def test_the_rows_that_a_gate_is_fitted_to_are_those_that_are_written(data: Path, run: Path) -> None:
    encoder = Encoder()
    memory = recall.unread(encoder, load_file(run / "written.safetensors"))
    memory.stopword_mask[:] = torch.rand(encoder.vocabulary, generator=torch.Generator().manual_seed(1)) < 0.9
    for dataset in datasets.datasets(data, "friendsqa", SMALL):
        dataset.turns += [
            (replace(dataset.turns[0][0], speaker=None, text=text), dataset.turns[0][1])
            for text in ("", "Oh.", "hm " * 90)
        ]
        told, wanted = datasets.rows_asked_for(memory, encoder, dataset)
        state = datasets.written(memory, encoder, dataset)
        slots = (state.source > 0).nonzero().squeeze(1)
        held = (state.token_ids[slots] >= 0).sum(1)
        surely = state.feature_bits[slots] & ((1 << len(FEATURE_NAMES) - len(LEARNED)) - 1)  # a gate knows no intents
        torch.testing.assert_close(told, features(surely, state.part[slots], held))
        answers = {source for _, sources, _ in dataset.questions for source in sources}
        assert wanted.tolist() == [float(source in answers) for source in state.source[slots].tolist()]
        assert memory.write_gate is not None
        rule = [
            writing.precedence_gate(memory.config, dataset.turns[source - 1][0].text, False)
            for source in state.source[slots]
        ]
        torch.testing.assert_close(state.strength[slots], torch.tensor(rule) * memory.write_gate(told))


def test_a_run_goes_on_from_what_it_has_and_gives_the_same(
    data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in run.iterdir():
        if part.name not in ("recall.safetensors", "result.json"):
            (tmp_path / part.name).write_bytes(part.read_bytes())
    monkeypatch.setattr(recall, "written", lambda *_: pytest.fail("a memory was written again"))
    recall.train(data, tmp_path, SMALL)
    first, again = (load_file(folder / "recall.safetensors") for folder in (run, tmp_path))
    assert first.keys() == again.keys()
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_another_training_is_refused_its_folder(data: Path, run: Path) -> None:
    with pytest.raises(RecallError, match="--out"):
        recall.train(data, run, replace(SMALL, seed=2))


@pytest.mark.parametrize("name", ["locomo-dev", "longmemeval-pooled-dev", "beam-dev"])
def test_what_is_for_evaluation_only_is_never_trained_on(data: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(RecallError, match=name):
        recall.train(data, tmp_path, replace(SMALL, sets={"friendsqa": 1.0, name: 1.0}))


def test_what_is_said_after_a_question_is_no_answer_to_it(data: Path) -> None:
    dataset = datasets.datasets(data, "friendsqa", SMALL)[0]
    assert len(dataset.turns) == 16
    assert all(max(told) <= 16 for _, told, _ in dataset.questions)
    assert len({at for _, at in dataset.turns}) == 2  # the sessions lie apart


def test_weights_of_slots_add_up_to_those_of_messages() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 5.0]])
    source, allowed = torch.tensor([1, 2, 2, 3]), torch.tensor([[True, True, True, False]])
    messages = datasets.by_source(logits, source, allowed)
    shares = torch.softmax(messages[:, 1:], 1)
    expected = torch.tensor([1.0, torch.e + torch.e**2, 0.0])
    torch.testing.assert_close(shares[0], expected / expected.sum())


def test_auroc_and_calibration_error_on_cases_done_by_hand() -> None:
    assert calibration.auroc(torch.tensor([0.9, 0.5]), torch.tensor([0.1, 0.5])) == pytest.approx(3.5 / 4)
    probability, truth = torch.tensor([0.05, 0.05, 0.95, 0.95]), torch.tensor([0.0, 0.0, 1.0, 0.0])
    assert calibration.calibration_error(probability, truth) == pytest.approx(0.5 * 0.05 + 0.5 * 0.45)
    weight = torch.tensor([2.0, 2.0, 1.0, 0.0])
    assert calibration.calibration_error(probability, truth, weight=weight) == pytest.approx(0.8 * 0.05 + 0.2 * 0.05)


def test_a_renamed_question_names_another_speaker_of_the_conversation() -> None:
    said = [Turn(str(n), "s", "user", name, None, "…") for n, name in enumerate(("Ada Lee", "Bela", "#NOTE#", None))]
    question = Question("What did Ada tell Cleo of Ada's dog?", frozenset("0"), "What", None)
    for number in range(10):
        other = datasets.entity_swapped(question, Conversation("c", said, [question]), random.Random(number))
        assert other == replace(question, text="What did Bela tell Cleo of Bela's dog?", evidence=frozenset())
    for text in ("What did Adam tell Cleo?", "What did Ada tell Bela?"):  # names nobody, or everybody
        nobody = Question(text, frozenset("0"), "What", None)
        assert datasets.entity_swapped(nobody, Conversation("c", said, [nobody]), random.Random(1)) is None


def asked_now(similar: list[float], right: list[int], category: str) -> RecallBatch:
    """One question that asks how something stands now, of messages of one slot each, in the order of writing."""
    found = telling(similar, list(range(1, len(similar) + 1)))
    told = torch.tensor([[place in right for place in range(len(similar))]])
    return RecallBatch(found, found.order, found.order, told, [category])


def test_what_was_updated_tells_from_which_similarity_the_later_comes_first() -> None:
    update = asked_now([0.7, 0.6, 0.1], [0, 1], "knowledge_update")
    other = asked_now([0.8, 0.3, 0.1], [0], "information_extraction")  # what is later here is no update
    fresh = Reranker()
    assert calibration.updates(fresh, [update, other]) == [(False, True)]
    calibration.fit_recency_override(fresh, [update, other])
    assert 0.35 < float(fresh.recency_override) < 0.6
    assert calibration.updates(fresh, [update, other]) == [(True, True)]
    assert fit_reader.measure(fresh, [other])[0][2] == 1.0


def test_the_confidence_learns_what_renamed_questions_are() -> None:
    """Where the one named told nothing alike, and nothing else differs."""
    questions, entity_swapped = (asked_now([0.6, 0.5, 0.4, 0.3, 0.2], [0], "Who") for _ in range(2))
    for of, told in ((questions, 1.0), (entity_swapped, 0.0)):
        of.found.signals[..., 5], of.found.signals[..., 6] = told, 1.0 - told
        of.found.signals[0, -1, 5] = 1.0
        of.found.features[:, 5] = 1.0
    reader = Reranker()
    calibration.calibrate(reader, [questions], [entity_swapped], 0.75)
    figures = calibration.calibration(reader, [questions], [entity_swapped], 0.75)
    assert figures["auroc, renamed"] == 1.0
    confidence_head = [float(reader.confidence(of.found, reader(of.found))) for of in (questions, entity_swapped)]
    assert confidence_head[0] > 0.8 and confidence_head[1] < 0.3


def test_a_loss_of_nothing_stops_the_training_in_so_many_words(data: Path, run: Path, tmp_path: Path) -> None:
    with pytest.raises(RecallError, match="--rate"):
        recall.train(data, tmp_path, replace(SMALL, rate=float("inf")))


@pytest.mark.parametrize(("late", "least"), [(0.0, 1.0), (1.0, 0.1)])
def test_a_dated_cue_names_the_time_of_its_evidence_or_one_before(late: float, least: float) -> None:
    """What was told on day 500 lies in the time named, or at most two of its lengths after it; what before, farther."""
    found, said_at = telling([0.2] * 3, [1, 2, 3]), torch.tensor([100, 500, 501]) * 86_400
    of = RecallBatch(found, found.order, said_at, torch.tensor([[False, True, False]]), [""])
    drawn, near = random.Random(1), []
    for _ in range(60):
        near.append(fit_reader._dated(of, late, drawn).found.signals[0, :, SIGNALS.index("near")])
    temporal_proximity = torch.stack(near)
    assert temporal_proximity[:, 1].min() >= least and temporal_proximity[:, 0].max() < 0.1
    assert (temporal_proximity[:, 1] < 1.0).any() == bool(late)


def test_loosened_lines_are_one_unnamed_user_s_in_another_order() -> None:
    found = telling([0.2] * 20, list(range(20)))
    found.features[:] = found.signals[:] = 1.0
    found.signals[..., 0], found.signals[..., 1] = 0.2, 0.4
    found.speaker[:] = torch.arange(20)
    of = RecallBatch(found, torch.arange(1, 21), torch.zeros(20), torch.zeros(1, 20, dtype=torch.bool), [""])
    shuffled_context = fit_reader._with_shuffled_context(of, torch.Generator().manual_seed(1)).found
    assert not shuffled_context.speaker.any()
    for name in ("reply", "named", "speaker_tokens", "other voice"):
        of_all = shuffled_context.signals[0] if name in SIGNALS else shuffled_context.features
        assert not of_all[:, SIGNALS.index(name) if name in SIGNALS else FEATURE_NAMES.index(name)].any()
    assert shuffled_context.features.sum() == found.features.sum() - 40
    assert (shuffled_context.signals[..., 8:12] == torch.tensor([0.2, 0.4, 0.2, 0.4])).all()
    before, after = shuffled_context.chain[:, 0].tolist(), shuffled_context.chain[:, WINDOW].tolist()
    assert before.count(20) == after.count(20) == 1
    assert all(after[one] == place for place, one in enumerate(before) if one < 20)
    assert before != list(range(-1, 19))
