"""What the prompt says in the user's language: which language that is, and that every file of phrases can be shown."""

import dataclasses
from collections.abc import Sequence

import httpx
import pytest

from app.assistant.embedded import EmbeddedModel
from app.assistant.generator import ChatMessage
from app.assistant.phrases import KINDS, LANGUAGES, language_of, phrases_of
from app.assistant.prompt import EXAMPLES, IN_ENGLISH, build_prompt, examples_of
from memory_core.training.language_facts import HELD, read
from tests.assistant.said import NOW, Recalled, Said

GERMAN = "Wie heißt mein Hund?"


def shown(message: str, *history: str, **asked: bool | None) -> str:
    """The prompt for a message, without the system text and the English examples."""
    said = [Said(text) for text in history]
    built = build_prompt([Recalled(Said("Es regnet."))], said, message, NOW, context=4096, max_tokens=64, **asked)  # type: ignore[arg-type]
    return "\n".join(one.content for one in built[1 + len(EXAMPLES) :])


@pytest.mark.parametrize(
    "text", ["Hi", "ok", "no", "lol", "42", "👍", "", "Max.", "wifi password", "Hi there, who are you?"]
)
def test_what_may_be_english_is_answered_in_english(text: str) -> None:
    assert language_of([text]) == "en"


def test_questions_are_taken_to_be_in_the_language_they_are_in() -> None:
    right = asked = 0
    for language, here in read(HELD).items():
        if language in {"en", *LANGUAGES}:
            told = [fact.question for fact in here.facts.values()]
            right += sum(language_of([question]) == language for question in told)
            asked += len(told)
    assert asked > 100 and right / asked > 0.98


def test_a_message_that_tells_no_language_is_in_that_of_those_before() -> None:
    assert language_of(["ok", GERMAN]) == "de"
    assert language_of(["I drive a Volvo, and my brother drives a Honda.", GERMAN]) == "en"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_all_phrases_and_an_example_of_each_kind(language: str) -> None:
    phrases = phrases_of(language)
    assert {one.kind for one in phrases.examples} == set(KINDS)
    texts = [phrases.tells, phrases.untold, phrases.keep, *(one.reply for one in phrases.examples)]
    assert all(texts) and len({language_of([text]) for text in texts} - {language, "en"}) <= 1
    assert language_of([" ".join(texts)]) == language


def test_the_examples_take_no_more_room_than_is_said(model: EmbeddedModel) -> None:
    base, headers = model.url.removesuffix("/v1"), {"Authorization": f"Bearer {model.api_key}"}
    with httpx.Client(base_url=base, headers=headers) as client:

        def tokens(examples: Sequence[ChatMessage]) -> int:
            turns = {"messages": [dataclasses.asdict(one) for one in examples]}
            templated = client.post("/apply-template", json=turns).json()["prompt"]
            return len(client.post("/tokenize", json={"content": templated}).json()["tokens"])

        begun = tokens(EXAMPLES[:2])
        assert tokens(EXAMPLES) <= IN_ENGLISH.tokens + begun
        for language in LANGUAGES:
            phrases = phrases_of(language)
            assert tokens([*EXAMPLES[:2], *examples_of(phrases)]) - begun <= phrases.tokens


def test_the_prompt_speaks_the_users_language() -> None:
    phrases = phrases_of("de")
    question = shown(GERMAN, doubtful=True, of_world=False)
    assert question.endswith(f"({phrases.untold})") and phrases.examples[0].reply in question
    assert phrases.tells in shown("Mein Hund heißt Max.", tells=True).split("Es regnet.")[-1]
    english = shown("What is my dog called?", doubtful=True, of_world=False)
    assert english.endswith(f"({IN_ENGLISH.untold})") and phrases.examples[0].reply not in english
