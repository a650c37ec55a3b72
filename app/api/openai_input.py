"""What the newer interface of OpenAI is given, as messages of the older one, which generators speak."""

from typing import Any, Final

from app.api.openai_errors import BadRequest
from app.api.openai_schemas import ResponseRequest

_ROLES: Final = ("user", "assistant", "system", "developer")
_TEXTS: Final = ("text", "input_text", "output_text", "refusal")


def messages_of(body: ResponseRequest) -> list[dict[str, Any]]:
    """The messages of a request, without its instructions.

    Raises:
        BadRequest: an item that is no message, or a part that is no text and no picture.
    """
    items = [{"role": "user", "content": body.input}] if isinstance(body.input, str) else body.input
    said: list[dict[str, Any]] = []
    for place, item in enumerate(items):
        where = f"input[{place}]"
        kind = item.get("type", "message")
        if kind == "reasoning":  # what a model thought is its own
            continue
        if kind != "message":
            raise BadRequest(f"no items of type {kind} here: send messages", f"{where}.type")
        if item.get("role") not in _ROLES:
            raise BadRequest(f"must be one of {', '.join(_ROLES)}", f"{where}.role")
        said.append({"role": item["role"], "content": _content(item.get("content"), f"{where}.content")})
    return said


def options_of(body: ResponseRequest) -> dict[str, Any]:
    """What the generator gets beside the messages and the length.

    Raises:
        BadRequest: something that it cannot be asked.
    """
    if body.tools:
        raise BadRequest("tools are taken by /v1/chat/completions only", "tools")
    if body.background:
        raise BadRequest("a reply is made while its client waits", "background")
    options: dict[str, Any] = {"temperature": body.temperature, "top_p": body.top_p}
    if body.reasoning is not None:
        options["reasoning_effort"] = body.reasoning.effort
    if body.text is not None and body.text.format.type != "text":
        given = body.text.format.model_dump(exclude_unset=True)
        kind = given.pop("type")
        options["response_format"] = {"type": kind, **({kind: given} if kind == "json_schema" else {})}
    return {name: value for name, value in options.items() if value is not None}


def _content(content: Any, where: str) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise BadRequest("must be a text or a list of parts", where)
    parts = [_part(part, f"{where}[{place}]") for place, part in enumerate(content)]
    if all(part["type"] == "text" for part in parts):
        return "\n".join(part["text"] for part in parts)
    return parts


def _part(part: Any, where: str) -> dict[str, Any]:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXTS:
        text = part.get("refusal" if kind == "refusal" else "text")
        if not isinstance(text, str):
            raise BadRequest("must be a text", f"{where}.text")
        return {"type": "text", "text": text}
    if kind == "input_image" and isinstance(part.get("image_url"), str):
        shown = {"url": part["image_url"], "detail": part.get("detail") or "auto"}
        return {"type": "image_url", "image_url": shown}
    raise BadRequest("must be a part of type input_text or input_image", f"{where}.type")
