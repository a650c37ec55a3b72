"""Keys and tokens over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field, model_validator

from app.access.caller import Grant
from app.access.keys import NewKey
from app.api.auth import AdminCaller, ServiceCaller
from app.api.dependencies import KeysDep
from app.api.errors import RESPONSES
from app.api.schemas import Request
from app.memories.validation import Identifier, Name
from app.store.keys import StoredKey

router = APIRouter(tags=["access"], responses=RESPONSES)

_DAY = 86_400
_LONGEST_TOKEN = _DAY
KeyId = Annotated[str, Path(pattern=r"^[0-9a-z]{1,16}$", description="the key's id, which is no secret")]


class KeyRequest(Request):
    """A key to make."""

    name: Name = Field(examples=["the shop's assistant"])
    scope: Literal["admin", "service", "user"] = Field(description="everything, every user's data, one user's data")
    user_id: Identifier | None = Field(None, description="the user of a key of scope `user`", examples=["ada"])
    expires_in_days: Annotated[int, Field(strict=True, ge=1, le=3650)] | None = Field(None, examples=[90])

    @model_validator(mode="after")
    def _a_user_where_one_is_meant(self) -> Self:
        if (self.scope == "user") != (self.user_id is not None):
            raise ValueError("user_id belongs to scope user, and only to it")
        return self


class KeyEntry(BaseModel):
    """A key, without what opens anything."""

    id: str
    name: str
    prefix: str = Field(description="how the key begins, by which you recognise it")
    scope: str
    user_id: str | None
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="kept every few seconds")
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: StoredKey) -> Self:
        return cls(**{name: getattr(key, name) for name in KeyEntry.model_fields})


class CreatedKey(KeyEntry):
    """A key that was made."""

    key: str = Field(description="the key itself; it is shown this once and is stored nowhere")

    @classmethod
    def made(cls, new: NewKey) -> Self:
        return cls(**KeyEntry.of(new.stored).model_dump(), key=new.key)


class KeyList(BaseModel):
    """Every key, the oldest first; revoked and expired ones too."""

    keys: list[KeyEntry]


class TokenRequest(Request):
    """Whose token it will be."""

    user_id: Identifier = Field(examples=["ada"])
    ttl: Annotated[int, Field(strict=True, ge=1, le=_LONGEST_TOKEN)] = Field(900, description="seconds that it holds")


class Token(BaseModel):
    """A token, to be sent as a key is; it opens one user's data."""

    token: str
    user_id: str
    expires_at: datetime


@router.post("/v1/keys", status_code=201)
async def create_key(body: KeyRequest, caller: AdminCaller, keys: KeysDep) -> CreatedKey:
    """Makes a key and shows it once."""
    lifetime = None if body.expires_in_days is None else timedelta(days=body.expires_in_days)
    return CreatedKey.made(await keys.create(body.name, Grant(body.scope, body.user_id), lifetime))


@router.get("/v1/keys")
async def list_keys(caller: AdminCaller, keys: KeysDep) -> KeyList:
    """Every key that was made."""
    return KeyList(keys=[KeyEntry.of(one) for one in await keys.all()])


@router.delete("/v1/keys/{key_id}", status_code=204)
async def revoke_key(key_id: KeyId, caller: AdminCaller, keys: KeysDep) -> None:
    """Revokes a key and all tokens that it minted; other processes know within a second."""
    await keys.revoke(key_id)


@router.post("/v1/tokens")
async def mint_token(body: TokenRequest, caller: ServiceCaller, keys: KeysDep) -> Token:
    """Mints a short-lived token with which its holder is that user, so that no page needs to hold a service key."""
    lifetime = timedelta(seconds=body.ttl)
    token = await keys.mint(caller, body.user_id, lifetime)
    return Token(token=token, user_id=body.user_id, expires_at=datetime.now(UTC) + lifetime)
