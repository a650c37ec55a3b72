"""Every setting of the service, read once from the environment or `.env`.

A wrong value stops the start with one line that names the setting (see `load`); nothing else in the project reads
the environment.
"""

from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.access.credentials import KEY_RULE, is_key
from app.store.operator_key import BadKey, decoded

HUB = "hf:"  # what a model on a Hugging Face hub is named by
MODELS = ("packaged", "small", "tiny")


class SettingsError(Exception):
    """A setting that cannot be used; the message is one line that names it and says what to do."""


class Settings(BaseSettings):
    """The settings and their defaults; `.env.example` lists the same ones for people."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True)

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much is logged")

    auth: Literal["keys", "off"] = Field("keys", description="'off' serves everybody without asking for a key")
    mneme_admin_key: SecretStr | None = Field(None, description="an admin key that is made at the start")
    mneme_key: SecretStr | None = Field(None, description="the key or token that `mneme chat` and `mneme mcp` show")
    metrics: Literal["admin", "open", "off"] = Field("admin", description="who may read /metrics")
    allowed_hosts: str = Field("", description="names that the service is called by, besides loopback's, with commas")
    requests_per_minute: int = Field(3000, ge=0, description="requests of a key a minute; 0 for no limit")
    tokens_per_minute: int = Field(60_000, ge=0, description="tokens generated for a key a minute; 0 for no limit")
    replies_at_once: int = Field(64, ge=1, description="replies that may run or wait, in all")
    replies_per_user: int = Field(8, ge=1, description="replies that may run or wait for one user")
    audit_days: int = Field(90, ge=0, description="days that the audit log is kept; 0 keeps none")

    database_url: str = Field(
        "sqlite:///data/mneme.db", description="sqlite:///PATH or postgresql://USER:PASSWORD@HOST:PORT/NAME"
    )

    encryption_key: SecretStr | None = Field(
        None,
        description="encrypts what is stored: 32 bytes as base64 or hex; several with commas, the first wraps",
    )
    encryption_key_file: str = Field("", description="a file with what ENCRYPTION_KEY would be")

    encoder: str = Field("packaged", description="'packaged' (all-MiniLM-L6-v2), or a transformers name or folder")
    languages: Literal["auto", "all", "english"] = Field(
        "auto",
        description="'all' remembers in any language, 'english' saves time; 'auto': all, if installed",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the memories live and are read")
    slots: int = Field(4096, ge=16, le=100_000, description="slots of a new user's memory")
    cache_mb: int = Field(256, ge=1, description="memory states kept on the device, in MiB, least recently used out")

    generator: str = Field(
        "packaged", description="packaged (1.5B), small (0.5B), tiny (135M), a GGUF file, or hf:owner/repo/file.gguf"
    )
    models_folder: str = Field("~/.cache/mneme/models", description="where models are kept that `mneme fetch` brings")
    generator_url: str | None = Field(
        None, description="an OpenAI-compatible server, such as http://127.0.0.1:11434/v1; replaces GENERATOR"
    )
    generator_api_key: SecretStr | None = Field(None, description="its key, if it wants one")
    generator_model: str = Field("default", description="the model's name there")
    generator_context: int = Field(4096, ge=512, description="tokens that prompt and reply may take together")
    generator_timeout: float = Field(120.0, gt=0, description="seconds without a token before a reply counts as failed")

    max_tokens: int = Field(256, ge=1, le=4096, description="longest reply, where the request names none")
    temperature: float = Field(0.0, ge=0, le=2, description="sampling temperature, where the request names none")
    recalled: int = Field(8, ge=1, le=100, description="recollections a turn gets, where the request names no k")
    standing: int = Field(
        8, ge=0, le=64, description="statements that hold until revoked, which every turn reads; 0 reads none"
    )
    doubt_below: float = Field(
        0.72, ge=0, le=1, description="confidence of the memory below which the assistant may say it does not remember"
    )
    timezone: str = Field("UTC", description="IANA name of the zone of times that come without an offset, and of now")
    history: int = Field(6, ge=0, le=50, description="latest messages of the session that the prompt repeats")

    max_body_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="largest request body")
    max_bodies_bytes: int = Field(128 * 1024 * 1024, ge=1024, description="all bodies of requests under way")
    max_text_characters: int = Field(400_000, ge=1, description="text of all messages in one request")
    connections: int = Field(1000, ge=1, description="connections that may be open, in all")
    connections_per_address: int = Field(100, ge=0, description="of one address but loopback; 0 for no bound")
    requests_at_once: int = Field(256, ge=1, description="requests that may be under way")

    @property
    def models(self) -> Path:
        """The folder of the models."""
        return Path(self.models_folder).expanduser()

    @field_validator("mneme_admin_key")
    @classmethod
    def _a_key(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None and not is_key(key.get_secret_value()):
            raise ValueError(f"must be {KEY_RULE}")
        return key

    @field_validator("encryption_key")
    @classmethod
    def _keys_of_32_bytes(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None:
            decoded(keys.get_secret_value())
        return keys

    @model_validator(mode="after")
    def _one_place_of_keys(self) -> Self:
        if self.encryption_key_file and self.encryption_key is not None:
            raise ValueError("ENCRYPTION_KEY and ENCRYPTION_KEY_FILE: set one of them")
        return self

    @property
    def encryption_keys(self) -> list[bytes]:
        """The operator's keys of 32 bytes, the one that wraps first; none where nothing is encrypted.

        Raises:
            SettingsError: the file that they stand in cannot be read, or holds something else.
        """
        if not self.encryption_key_file:
            return [] if self.encryption_key is None else decoded(self.encryption_key.get_secret_value())
        try:
            return decoded(Path(self.encryption_key_file).expanduser().read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            told = error.strerror if isinstance(error, OSError) else "not text"
            why = str(error) if isinstance(error, BadKey) else f"it cannot be read ({told})"
            raise SettingsError(f"ENCRYPTION_KEY_FILE {self.encryption_key_file}: {why}") from None

    @property
    def zone(self) -> ZoneInfo:
        """The zone of times that come without an offset."""
        return ZoneInfo(self.timezone)

    @field_validator("timezone")
    @classmethod
    def _a_known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            raise ValueError(f"no such time zone: {name}; one is Europe/Berlin") from None
        return name

    @field_validator("database_url")
    @classmethod
    def _a_known_database(cls, url: str) -> str:
        kind = url.partition("://")[0]
        if kind.partition("+")[0] not in ("sqlite", "postgresql", "postgres") or not url.startswith(f"{kind}://"):
            raise ValueError("must start with sqlite:/// or postgresql://")
        if kind.startswith("sqlite") and not url.startswith(f"{kind}:///"):
            raise ValueError("must start with sqlite:/// or postgresql://")
        return url.replace("postgres://", "postgresql://", 1) if kind == "postgres" else url

    @field_validator("generator")
    @classmethod
    def _a_readable_model(cls, generator: str) -> str:
        if generator in MODELS or generator.startswith(HUB):
            return generator
        if not Path(generator).is_file():
            raise ValueError(f"no such file: {generator}; or one of {', '.join(MODELS)}, {HUB}owner/repo/file.gguf")
        return generator

    @field_validator("generator_url")
    @classmethod
    def _an_http_url(cls, url: str | None) -> str | None:
        if url is not None and not url.startswith(("http://", "https://")):
            raise ValueError("must start with http:// or https://")
        return url


def load() -> Settings:
    """Reads the settings.

    Raises:
        SettingsError: one line naming the first setting that cannot be used, and why; never its value when secret.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]).upper() if first["loc"] else "settings"
        message = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"{name}: {message} (see .env.example)") from None
