"""Text that the vocabulary has no pieces for: it matches itself, and nothing by being unknown."""

import pytest
import torch

from memory_core.encoder import Encoder
from memory_core.unknown_text import separate_symbols

THAI = "ฉันทำงานเป็นคนเลี้ยงผึ้ง"
AMHARIC = "እኔ ንብ አናቢ ነኝ"


def known(encoder: Encoder, text: str) -> list[int]:
    return encoder.encode([text])[0].token_ids.tolist()


def test_unknown_words_have_ids_of_their_own(encoder: Encoder) -> None:
    thai, amharic = known(encoder, THAI), known(encoder, AMHARIC)
    assert not set(thai) & set(amharic)
    assert encoder.tokenizer.unk_token_id not in thai + amharic
    assert min(thai) >= len(encoder.tokenizer)


def test_the_same_unknown_text_has_the_same_facets(encoder: Encoder) -> None:
    first, second = encoder.encode([THAI, f"Ann: {THAI}"])
    assert set(first.token_ids.tolist()) <= set(second.token_ids.tolist())
    torch.testing.assert_close(first.facets[0] @ first.facets[0], torch.tensor(1.0))


def test_a_word_with_a_part_in_common_shares_ids(encoder: Encoder) -> None:
    whole, part = set(known(encoder, THAI)), set(known(encoder, THAI[3:14]))
    assert len(part & whole) == len(part)


@pytest.mark.parametrize("glued", ["Biscuit🐶", "❤️Biscuit", "Biscuit👍🏽"])
def test_a_word_with_an_emoji_beside_it_stays_a_word(encoder: Encoder, glued: str) -> None:
    word = known(encoder, "Biscuit")
    assert set(word) <= set(known(encoder, glued))


def test_different_emoji_do_not_match(encoder: Encoder) -> None:
    assert not set(known(encoder, "👍")) & set(known(encoder, "🐶"))


def test_plain_text_is_left_as_it_is() -> None:
    assert separate_symbols("My dog, $5 + tax ^ ~ `x`") == "My dog, $5 + tax ^ ~ `x`"


def test_a_word_too_long_for_the_vocabulary_is_known_by_its_parts(encoder: Encoder) -> None:
    address = "a" * 60 + "b" * 60
    assert known(encoder, address)[0] >= len(encoder.tokenizer)
    assert len(set(known(encoder, address))) == 4  # aaa, aab, abb, bbb


def test_an_emoji_leaves_the_words_beside_it_as_they_are(encoder: Encoder) -> None:
    plain, glued = encoder.encode(["Passed my driving test", "Passed my driving🚗test"])
    known = glued.token_ids < len(encoder.tokenizer)
    assert plain.token_ids.tolist() == glued.token_ids[known].tolist()
    torch.testing.assert_close(plain.facets, glued.facets[known], atol=1e-4, rtol=0)
