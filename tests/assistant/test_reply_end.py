"""Where a reply ends: circles are broken, and what the token limit cuts ends at a sentence or with an ellipsis."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.assistant.reply_end import ReplyEnd, SaidBefore


def run(pieces: list[str], max_tokens: int = 1000, reason: str = "stop") -> tuple[list[str], str | None]:
    """What is shown, piece by piece, and why the reply ends."""
    end = ReplyEnd(max_tokens)
    shown = []
    for piece in pieces:
        shown.append(end.feed(piece))
        if end.in_circles:
            break
    last, why = end.finish(reason)
    return [*shown, last], why


def words(text: str) -> list[str]:
    return [f"{word} " for word in text.split()]


@given(st.lists(st.text(alphabet="ab .!\n", min_size=1, max_size=5), max_size=60), st.integers(1, 100))
def test_a_whole_reply_is_shown_whole(pieces: list[str], max_tokens: int) -> None:
    shown, why = run(pieces, max_tokens)
    if why == "stop":
        assert "".join(shown) == "".join(pieces)


def test_pieces_are_shown_at_once_while_the_limit_is_far() -> None:
    pieces = words("That is good news. I am glad for you and for him.")
    assert run(pieces)[0] == [*pieces, ""]


def test_a_cut_reply_ends_at_the_sentence_before() -> None:
    first = "Lisbon is hilly and old and by the sea and I am sure that you will like it there."
    pieces = words(f"{first} Take the tram up to the castle and then")
    shown, why = run(pieces, max_tokens=len(pieces), reason="length")
    assert ("".join(shown).strip(), why) == (first, "length")


def test_a_cut_sentence_that_was_begun_too_early_ends_with_an_ellipsis() -> None:
    pieces = [f"w{number} " for number in range(200)]
    shown, why = run(pieces, max_tokens=200, reason="length")
    assert "".join(shown).endswith("w199 …") and why == "length"
    assert "".join(run(["Once"], 1, "length")[0]) == "Once…"


def test_a_limit_that_falls_on_the_end_changes_nothing() -> None:
    assert "".join(run(["Yes", ",", " it", " is", "."], 5, "length")[0]) == "Yes, it is."


@pytest.mark.parametrize(
    "text",
    [
        "I'm so sorry. " + "It's wonderful news, that's " * 40,
        "You have a dog called Biscuit. " * 20,
        "The sea was calm and blue. The sky was grey and wide. " * 20,
        "und dann und dann " * 40,
    ],
)
def test_going_round_in_circles_is_stopped_soon(text: str) -> None:
    shown, why = run(words(text))
    assert why == "repetition"
    assert len("".join(shown)) < 180
    assert "".join(shown).strip()[-1] in ".…"


@pytest.mark.parametrize(
    "text",
    [
        "1. Take flour. 2. Take eggs. 3. Take milk. 4. Take salt. 5. Take butter.",
        "```\ndef f():\n                                if x:\n                                return 1\n```",
        "| a | b | c | d | e | f | g |\n|---|---|---|---|---|---|---|\n--------------------------------------------",
        "Row, row, row your boat, gently down the stream. Merrily, merrily, merrily, merrily, life is but a dream.",
        "1000000000000000000000000000000000",
        "Ha ha ha! No, no, no. " * 1,
    ],
)
def test_lists_code_and_songs_are_no_circles(text: str) -> None:
    shown, why = run(list(text))
    assert ("".join(shown), why) == (text, "stop")


BEFORE = ["That's great to hear! I'm glad that you drive. How do you feel about it?"]


def reply_after(text: str, before: list[str]) -> str:
    end = ReplyEnd(1000, SaidBefore(before))
    return "".join([*map(end.feed, re.findall(r"\s*\S+", text)), end.finish("stop")[0]])


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("That's great to hear! I'm glad that you sing. How do you feel about it?", "I'm glad that you sing."),
        ("That's great to hear! Where do you sing?", "Where do you sing?"),
        ("That's great! How do you feel about it now?", "That's great! How do you feel about it now?"),
        ("That's great to hear! How do you feel about it?", "That's great to hear! How do you feel about it?"),
    ],
)
def test_what_was_said_in_the_replies_before_is_left_out_unless_it_is_all(text: str, left: str) -> None:
    assert reply_after(text, BEFORE).strip() == left
    assert reply_after(text, []) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("You live in Bern. Is it cold?", ""),
        ("you live in Bern.  Is it cold?", ""),
        ("You live in Bern.", "You live in Bern."),
        ("You live in Bern. Is it cold there?", "You live in Bern. Is it cold there?"),
    ],
)
def test_a_reply_that_is_one_of_those_before_can_be_left_out(text: str, left: str) -> None:
    end = ReplyEnd(1000, SaidBefore(["Hello!", "You live in Bern. Is it cold?"], whole=True))
    assert "".join([*map(end.feed, re.findall(r"\s*\S+", text)), end.finish("stop")[0]]) == left


@given(st.lists(st.sampled_from(["Oh no! ", "I see. ", "Why? ", "Go on. ", "。", "\n"]), max_size=8), st.integers(1, 5))
def test_whatever_was_said_before_nothing_else_is_left_out(said: list[str], size: int) -> None:
    text = "".join(said) + "A new end."
    end = ReplyEnd(1000, SaidBefore(["I see. Why?"]))
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    shown = "".join([*map(end.feed, pieces), end.finish("stop")[0]])
    kept = "".join(one for one in said if one not in ("I see. ", "Why? "))
    assert "".join(shown.split()) == "".join(f"{kept}A new end.".split())
