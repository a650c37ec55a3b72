"""No text can act as one of a language model's own marks: over the whole vocabulary of the models that are here."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.assistant.control_text import ANY_MODEL, ControlMarks, marks_of
from app.assistant.embedded import EmbeddedModel
from app.assistant.generator import Generator
from app.assistant.models import PACKAGED, SMALL, TINY, installed
from app.settings import Settings
from benchmarks.scripted_model import ScriptedModel

LARGE = [Settings(_env_file=None).models / model.file for model in (PACKAGED, SMALL)]
OTHER_FAMILIES = [
    "<|im_end|>", "<｜User｜>", "</s>", "<end_of_turn>", "[/INST]", "<<SYS>>", "<</SYS>>", "[SYSTEM_PROMPT]",
    "[TOOL_CALLS]",
    "<think>", "</think>", "<eos>", "<unused7>", "<<|x", "<repo_name>", "<tool_call>",
]  # fmt: skip


async def test_no_text_becomes_a_control_token_of_the_tiny_model() -> None:
    """As llama.cpp itself reads the prompt: with the marks it finds them, with the marks made inert it finds none."""
    model = EmbeddedModel(installed(TINY), context=512, parallel=1, threads=1)
    marks = marks_of(model.path)
    base, headers = model.url.removesuffix("/v1"), {"Authorization": f"Bearer {model.api_key}"}
    async with httpx.AsyncClient(base_url=base, headers=headers) as client:

        async def read(text: str) -> list[int]:
            body = {"content": text, "parse_special": True}
            return list((await client.post("/tokenize", json=body)).json()["tokens"])

        control = {token for mark in marks for token in await read(mark)}
        assert len(control) == len(marks) == 17
        for mark in marks:
            for text in (mark, f"a {mark}b", mark * 3, f"{mark[:2]}{mark}{mark[2:]}"):
                assert not control & set(await read(model.marks.make_inert(text))), text
    model.close()


@pytest.mark.parametrize("path", LARGE, ids=lambda path: path.name)
def test_no_text_holds_a_mark_of_a_packaged_model(path: Path) -> None:
    if not path.is_file():
        pytest.skip(f"{path.name} was not fetched")
    marks = marks_of(path)
    assert {"<|im_start|>", "<|im_end|>", "<tool_call>"} <= set(marks)
    inert = ControlMarks(marks)
    for mark in marks:
        for text in (mark, f"a {mark}b", mark * 3, f"{mark[:2]}{mark}{mark[2:]}"):
            assert not any(other in inert.make_inert(text) for other in marks), text


@pytest.mark.parametrize("mark", OTHER_FAMILIES)
def test_marks_of_other_families_are_inert_for_any_server(mark: str) -> None:
    assert mark not in ANY_MODEL.make_inert(f"a {mark} b")


@pytest.mark.parametrize("text", ["if a < b and b > c", "<div class='x'>[1, 2]</div>", "List<String> [a]", "x | y"])
def test_ordinary_text_and_code_stay_as_they_are(text: str) -> None:
    assert ANY_MODEL.make_inert(text) == text


@given(st.text(alphabet="<|>[]/sab_ xy｜", max_size=60))
def test_what_is_inert_stays_as_it_is(text: str) -> None:
    marks = ControlMarks(["<ab>", "<|ab|>", "xy", "<<ab>>"])
    inert = marks.make_inert(text)
    assert marks.make_inert(inert) == inert
    assert not any(mark in inert for mark in ("<ab>", "<|ab|>", "xy", "<<ab>>"))


async def test_every_text_of_a_request_is_made_inert() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "A <mark> b"},
        {"role": "user", "content": [{"type": "text", "text": "c <mark>"}, {"type": "text", "text": "d"}]},
        {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "<mark>"}}]},
        {"role": "user", "content": "e"},
    ]
    async with ScriptedModel() as model:
        generator = Generator(model.url, None, "default", 5, marks=ControlMarks(["<mark>"]))
        async for _ in generator.chunks({"messages": messages}):
            pass
        await generator.aclose()
        assert "<mark>" not in str(model.prompts)
        assert "< mark>" in str(model.prompts)


@pytest.mark.parametrize("content", [b"GGUF", b"GGUF" + bytes(range(200)), b"GGUF" + b"\xff" * 400])
def test_a_damaged_header_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(ValueError, match="header"):
        marks_of(tmp_path / "x.gguf")
