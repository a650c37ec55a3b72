"""What routes ask for in their signatures."""

from typing import Annotated

from fastapi import Depends, Request

from app.access.audit import AuditLog
from app.access.keys import Keys
from app.assistant.completion import Completions
from app.assistant.turn import Assistant
from app.memories.memories import Memories
from app.settings import Settings


def _memories(request: Request) -> Memories:
    memories: Memories = request.app.state.memories
    return memories


def _assistant(request: Request) -> Assistant:
    assistant: Assistant = request.app.state.assistant
    return assistant


def _completions(request: Request) -> Completions:
    completions: Completions = request.app.state.completions
    return completions


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _keys(request: Request) -> Keys:
    keys: Keys = request.app.state.keys
    return keys


def _audit(request: Request) -> AuditLog:
    audit: AuditLog = request.app.state.audit
    return audit


MemoriesDep = Annotated[Memories, Depends(_memories)]
AssistantDep = Annotated[Assistant, Depends(_assistant)]
CompletionsDep = Annotated[Completions, Depends(_completions)]
SettingsDep = Annotated[Settings, Depends(_settings)]
KeysDep = Annotated[Keys, Depends(_keys)]
AuditDep = Annotated[AuditLog, Depends(_audit)]
