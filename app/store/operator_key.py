"""The operator's keys, under which what is said is encrypted, as they are written down."""

import base64
import binascii

KEY_BYTES = 32


class BadKey(ValueError):
    """Text that is no key; the message never quotes it."""


def decoded(text: str) -> list[bytes]:
    """The keys in a text, in order.

    Raises:
        BadKey: one is not 32 bytes.
    """
    keys = [_key(one.strip()) for one in text.replace("\n", ",").split(",") if one.strip()]
    if not keys:
        raise BadKey("holds no key: `mneme encryption key` makes one")
    if len(set(keys)) < len(keys):
        raise BadKey("holds a key twice")
    return keys


def _key(text: str) -> bytes:
    try:
        if len(text) == 2 * KEY_BYTES:
            return bytes.fromhex(text)
        key = base64.b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise BadKey(f"must be {KEY_BYTES} bytes as base64 or hex: `mneme encryption key` makes one")
    return key
