"""The client's models ask for nothing that the service does not give."""

from typing import Any

import pytest
from pydantic import BaseModel

from app.main import create_app
from app.settings import Settings
from mneme_client import aio, models, sync
from mneme_client.messages import Message

NAMES = {"Recall": "RecallReply", "Remembered": "RememberReply", "UserToken": "Token", "Message": "NewMessage"}


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    found: dict[str, Any] = create_app(Settings(_env_file=None)).openapi()["components"]["schemas"]
    return found


def test_every_field_of_a_model_is_in_the_service_s_schema(schemas: dict[str, Any]) -> None:
    compared: list[type[BaseModel]] = [Message]
    for kind in vars(models).values():
        if isinstance(kind, type) and issubclass(kind, models.Reply) and kind is not models.Reply:
            compared.append(kind)
    assert len(compared) > 20
    for model in compared:
        theirs = schemas[NAMES.get(model.__name__, model.__name__)]
        assert set(model.model_fields) <= set(theirs["properties"]), model.__name__


def test_the_blocking_client_has_every_operation() -> None:
    def operations(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_")}

    assert operations(sync.Mneme) - {"twin"} == operations(aio.AsyncMneme)
    for name in operations(aio.AsyncMneme):
        assert getattr(sync.Mneme, name).__doc__ == getattr(aio.AsyncMneme, name).__doc__
