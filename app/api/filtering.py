"""The filters that lists take in their query: `role`, `speaker`, `since`, `until`, and `metadata.KEY` for any key."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from app.api.dependencies import SettingsDep
from app.api.errors import bad_field
from app.memories.validation import Moment, Name, Role, in_zone
from app.store.filters import Filter

_PREFIX = "metadata."
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
KEY_RULE = "a key to filter by has 1 to 64 of A-Z a-z 0-9 _ . -"


def _filter(
    request: Request,
    settings: SettingsDep,
    role: Role | None = None,
    speaker: Name | None = None,
    since: Annotated[Moment | None, Query(description="said then or later")] = None,
    until: Annotated[Moment | None, Query(description="said before")] = None,
) -> Filter:
    by_key = {name: value for name, value in request.query_params.items() if name.startswith(_PREFIX)}
    for name, value in by_key.items():
        if not is_key(name.removeprefix(_PREFIX)) or "\0" in value:
            raise bad_field(KEY_RULE, "query", name)
    zone = settings.zone
    return Filter(
        role=role,
        speaker=speaker,
        since=since and in_zone(since, zone),
        until=until and in_zone(until, zone),
        metadata={name.removeprefix(_PREFIX): value for name, value in by_key.items()},
    )


ListFilter = Annotated[Filter, Depends(_filter)]


def is_key(key: str) -> bool:
    """Whether messages can be filtered by that key of their metadata."""
    return _KEY.fullmatch(key) is not None


def as_written(values: Mapping[str, Any]) -> dict[str, str]:
    """Values of a JSON request as a filter compares them."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
