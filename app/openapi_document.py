"""The OpenAPI document as a file, so that clients in other languages can be generated without a running service."""

import json
from typing import Any


def document() -> dict[str, Any]:
    """What `/openapi.json` serves, whatever the settings."""
    from app.main import create_app
    from app.settings import Settings

    return create_app(Settings(_env_file=None)).openapi()


def as_text(document: dict[str, Any]) -> str:
    """The document as it stands in `docs/openapi.json`: a change of one thing changes few lines."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"
