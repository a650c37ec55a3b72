"""Words of one bit a dimension: what they keep, and products that are taken without making them whole."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from memory_core.binary_codes import decode_word, differing_bits, encode_word, facet_cosines, slot_keys


def unit(seed: int, *shape: int) -> torch.Tensor:
    return functional.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@given(st.integers(0, 10**6))
def test_a_word_keeps_the_signs_of_its_facets(seed: int) -> None:
    facets = unit(seed, 3, 4, 24)
    word = encode_word(facets)
    assert word.shape == (3, 4, 3)
    torch.testing.assert_close(decode_word(word), facets.sign() * 24**-0.5)


@given(st.integers(0, 10**6), st.integers(0, 9))
def test_cosines_are_those_of_the_whole_facets(seed: int, facets: int) -> None:
    cues, words = unit(seed, 2, 5, 16), encode_word(unit(seed + 1, facets, 16))
    of = torch.randint(2, (facets,), generator=torch.Generator().manual_seed(seed))
    expected = torch.einsum("fcw,fw->fc", cues[of], decode_word(words))
    torch.testing.assert_close(facet_cosines(cues, words, of), expected, atol=1e-6, rtol=0)


def test_signs_keep_directions() -> None:
    facets = unit(1, 1, 200, 256)
    kept = decode_word(encode_word(facets))
    assert float((facets * kept).sum(-1).mean()) > 0.78  # sqrt(2 / pi), of random directions


def test_bits_that_differ_are_counted() -> None:
    first = encode_word(torch.ones(1, 2, 16))
    other = torch.ones(1, 2, 16)
    other[0, 1, [0, 7, 15]] = -1.0
    assert differing_bits(first, encode_word(other)).tolist() == [[0, 3]]


def test_a_key_is_the_direction_of_the_facets_together() -> None:
    facets = unit(2, 2, 3, 16)
    token_ids = torch.tensor([[5, 6, -1], [-1, -1, -1]], dtype=torch.int32)
    keys = slot_keys(encode_word(facets), token_ids)
    torch.testing.assert_close(keys[0], functional.normalize(facets[0, :2].sign().sum(0), dim=0).half())
    assert not keys[1].any()
