"""What a message says: a text, or OpenAI's list of parts, whose text is kept and whose other parts are named."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from app.memories.validation import MOST_CHARACTERS, Text

_TEXT_PARTS = ("text", "input_text", "output_text")


def _parts(content: Any) -> list[dict[str, Any]] | None:
    """OpenAI's list of parts, if this is one."""
    if not isinstance(content, list):
        return None
    if not content or not all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in content):
        raise ValueError("must be a text, or a list of parts that each have a type")
    return content


def _text_of(content: Any) -> Any:
    parts = _parts(content)
    if parts is None:
        return content
    texts = [part.get("text") for part in parts if part["type"] in _TEXT_PARTS]
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ValueError("must have a part of type text, with its text")
    return "\n".join(text for text in texts if isinstance(text, str))


Content = Annotated[
    Text,
    BeforeValidator(_text_of),
    WithJsonSchema({
        "anyOf": [
            {"type": "string", "minLength": 1, "maxLength": MOST_CHARACTERS},
            {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["type"]}},
        ]
    }),
]  # fmt: skip


def other_parts(content: Any) -> list[str]:
    """The types of the parts that are no text."""
    parts = content if isinstance(content, list) else []
    kinds = [part.get("type") for part in parts if isinstance(part, dict)]
    return [kind for kind in kinds if isinstance(kind, str) and kind not in _TEXT_PARTS]
