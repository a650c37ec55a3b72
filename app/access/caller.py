"""Who is calling, and what that caller may do."""

import dataclasses
import re
from typing import Literal

Scope = Literal["admin", "service", "user"]
_USER_ID = re.compile(r"[A-Za-z0-9._:@-]{1,128}")


class BadScope(ValueError):
    """A scope that is none; the message says which there are."""


@dataclasses.dataclass(frozen=True)
class Grant:
    """What a credential allows: everything (admin), every user's data (service), or one user's data (user)."""

    scope: Scope
    user_id: str | None = None

    def __str__(self) -> str:
        return self.scope if self.user_id is None else f"{self.scope}:{self.user_id}"

    @classmethod
    def parse(cls, text: str) -> "Grant":
        """Reads `admin`, `service` or `user:ID`.

        Raises:
            BadScope: the text is none of them.
        """
        if text in ("admin", "service"):
            return cls("admin" if text == "admin" else "service")
        name, _, user_id = text.partition(":")
        if name != "user" or not _USER_ID.fullmatch(user_id) or user_id in (".", ".."):
            raise BadScope("the scope must be admin, service or user:ID, with the ID as in requests")
        return cls("user", user_id)

    def is_admin(self) -> bool:
        """Whether this allows keys, the audit log and the list of users."""
        return self.scope == "admin"

    def is_service(self) -> bool:
        """Whether this allows the data of every user."""
        return self.scope in ("admin", "service")

    def covers(self, user_id: str) -> bool:
        """Whether this allows the data of that user; ids are compared exactly, as the store compares them."""
        return self.is_service() or (self.user_id is not None and self.user_id == user_id)


@dataclasses.dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Attributes:
        key_id: the key that was shown, or that minted the token; None where the service is open and nobody is asked.
        by_token: whether a short-lived token was shown instead of the key itself.
    """

    grant: Grant
    key_id: str | None
    by_token: bool = False

    @property
    def is_anonymous(self) -> bool:
        """Whether the service is open, so that this may be anybody."""
        return self.key_id is None

    @property
    def bucket(self) -> str:
        """What the caller's limits are counted by: the key, or the user of a token."""
        return f"{self.key_id}:{self.grant.user_id}" if self.by_token else str(self.key_id)


ANYBODY = Caller(Grant("admin"), None)
"""The caller where the service is open: on loopback without a key, or with AUTH=off."""
