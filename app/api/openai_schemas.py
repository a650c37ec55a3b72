"""What OpenAI's interface takes, as far as this service reads it; what it does not know of, it ignores."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from app.api.schemas import Count
from app.memories.validation import Identifier

HANDED_ON = (
    "temperature", "top_p", "stop", "seed", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty",
    "logit_bias", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort",
)  # fmt: skip
"""Fields that the generator gets as they come."""


class Lenient(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class OpenAIRequest(Lenient):
    """A whole request; what nothing here looks at reaches the generator or the reply, and must be texts too."""

    @model_validator(mode="before")
    @classmethod
    def _of_whole_characters(cls, given: Any) -> Any:
        try:
            json.dumps(given, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("must not contain half of a surrogate pair") from None
        return given


class MemoryChoice(BaseModel):
    """How a request uses the memory; a field of this service's own."""

    model_config = ConfigDict(extra="forbid")

    k: Count | None = Field(None, description="messages to recall")
    off: Annotated[bool, Field(strict=True)] = Field(False, description="ask the generator alone; remember nothing")
    read_only: Annotated[bool, Field(strict=True)] = Field(False, description="recall, but remember nothing")


class Metadata(Lenient):
    """Of what a client attaches, only the session matters here."""

    session_id: Identifier | None = None


class InputMessage(Lenient):
    """A message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None


class StreamOptions(Lenient):
    """What a stream tells beside the text."""

    include_usage: bool = False


class CompletionRequest(OpenAIRequest):
    """A conversation to be continued."""

    model: str = Field(max_length=256)
    messages: Annotated[list[InputMessage], Field(min_length=1, max_length=10_000)]
    user: Identifier | None = None
    metadata: Metadata | None = None
    memory: MemoryChoice = MemoryChoice()
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=1)] | None = Field(None, description="one reply at a time")
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None

    @field_validator("messages")
    @classmethod
    def _somebody_speaks(cls, messages: list[InputMessage]) -> list[InputMessage]:
        if not any(message.role == "user" for message in messages):
            raise ValueError("must have a message of role user")
        return messages


class EmbeddingRequest(OpenAIRequest):
    """Texts to be encoded."""

    model: str = Field(max_length=256)
    input: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    user: Identifier | None = None


class ConversationName(Lenient):
    """A session, as the newer interface names one."""

    id: Identifier


class Reasoning(Lenient):
    """How long the generator thinks."""

    effort: str | None = Field(None, max_length=32)


class TextFormat(Lenient):
    """What the reply must be: a text, or JSON by a schema."""

    type: Literal["text", "json_object", "json_schema"] = "text"


class TextChoice(Lenient):
    """How the text of a reply is to be."""

    format: TextFormat = TextFormat()


class ResponseRequest(OpenAIRequest):
    """A conversation to be continued, by the newer interface."""

    model: str = Field("mneme", max_length=256)
    input: (
        Annotated[str, Field(min_length=1)] | Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)]
    ) = Field(description="a text, or messages: what is new, or the whole conversation")
    instructions: str | None = Field(None, description="for this reply alone; never remembered")
    previous_response_id: Annotated[str, Field(max_length=64)] | None = Field(
        None, description="goes on after that response, also after a restart"
    )
    conversation: Identifier | ConversationName | None = Field(None, description="goes on at the end of that session")
    store: bool | None = Field(True, description="false: nothing of this is remembered")
    stream: bool | None = False
    user: Identifier | None = None
    metadata: Metadata | None = Field(None, description="`session_id` in it is taken as `conversation`")
    memory: MemoryChoice = MemoryChoice()
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    text: TextChoice | None = None
    reasoning: Reasoning | None = None
    tools: list[dict[str, Any]] | None = Field(None, description="none: tools are for chat/completions")
    background: bool | None = False
