"""What OpenAI's interface takes, as far as this service reads it; what it does not know of, it ignores."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.api.schemas import Count
from app.memories.validation import Identifier

HANDED_ON = (
    "temperature", "top_p", "stop", "seed", "logprobs", "top_logprobs", "presence_penalty", "frequency_penalty",
    "logit_bias", "tools", "tool_choice", "parallel_tool_calls", "response_format", "reasoning_effort",
)  # fmt: skip
"""Fields that the generator gets as they come."""


class Lenient(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


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


class CompletionRequest(Lenient):
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


class EmbeddingRequest(Lenient):
    """Texts to be encoded."""

    model: str = Field(max_length=256)
    input: Annotated[str, Field(min_length=1)] | Annotated[list[str], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    user: Identifier | None = None


class ResponseRequest(Lenient):
    """A conversation to be continued, by the newer interface."""

    model: str = Field(max_length=256)
    input: str | Annotated[list[dict[str, Any]], Field(min_length=1, max_length=10_000)]
    instructions: str | None = None
    previous_response_id: Annotated[str, Field(max_length=64)] | None = None
    user: Identifier | None = None
    metadata: Metadata | None = None
    memory: MemoryChoice = MemoryChoice()
    stream: bool | None = False
    max_output_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
