"""What a key looks like, and what is stored of it: a hash, and a prefix by which its owner recognises it."""

import hashlib
import re
import secrets

_BYTES = 32
_PREFIX_CHARACTERS = 12
_KEY = re.compile(r"mneme_[A-Za-z0-9_-]{43,128}")
KEY_RULE = "mneme_ followed by 43 to 128 of A-Z a-z 0-9 _ - (`echo mneme_$(openssl rand -hex 32)`)"


def new_key() -> str:
    """A key of 256 random bits, to be shown once."""
    return "mneme_" + secrets.token_urlsafe(_BYTES)


def is_key(text: str) -> bool:
    """Whether the text has the form of a key."""
    return _KEY.fullmatch(text) is not None


def hash_of(key: str) -> str:
    """What is stored of a key. Its 256 random bits cannot be guessed, so a fast hash without salt is enough."""
    return hashlib.sha256(key.encode()).hexdigest()


def prefix_of(key: str) -> str:
    """The beginning of a key, which gives none of its strength away: 216 bits stay secret."""
    return key[:_PREFIX_CHARACTERS]


def new_id() -> str:
    """A name for a key that is no secret."""
    return secrets.token_hex(8)
