"""Who may call a route, as types in its signature.

Each route names exactly one of them; `tests/api/test_access.py` fails for one that names none:

- `UserCaller`: whoever may act for the user in the path.
- `ActingCaller`: any valid key; the route gets the user whom a request names from `acting.user(named)`.
- `ServiceCaller`: keys of scope service and admin.
- `AdminCaller`: keys of scope admin.
- `MetricsCaller`: as the setting METRICS says.
- `OpenToAll`: anybody, without a key.

A missing or wrong credential is 401, one that does not reach far enough is 403. A key for one user gets the same 403
for every other user, whether there is such a user or not.
"""

import dataclasses
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.access.caller import ANYBODY, Caller
from app.access.keys import BadCredential, Keys
from app.access.limits import Limits
from app.settings import Settings

_SCHEME = HTTPBearer(
    auto_error=False,
    scheme_name="key",
    description="A key (`mneme keys create`) or a token (`POST /v1/tokens`). Without a key made, on loopback: none.",
)
_CHALLENGE = 'Bearer realm="mneme"'


class NotAuthenticated(HTTPException):
    """No credential, or one that is not valid."""

    def __init__(self, detail: str, error: str = "") -> None:
        challenge = f'{_CHALLENGE}, error="{error}"' if error else _CHALLENGE
        super().__init__(HTTPStatus.UNAUTHORIZED, detail, {"WWW-Authenticate": challenge})


class NotAllowed(HTTPException):
    """A valid credential that does not reach this far."""

    def __init__(self, detail: str) -> None:
        super().__init__(HTTPStatus.FORBIDDEN, detail)


class Authentication:
    """Finds out once per request who calls; before the body is read, so that strangers cannot make us hold one."""

    def __init__(self, keys: Keys, limits: Limits, is_off: bool, authorization: str | None) -> None:
        self._keys, self._limits, self._is_off, self._authorization = keys, limits, is_off, authorization
        self.known: Caller | None = None

    async def caller(self) -> Caller:
        """The caller.

        Raises:
            NotAuthenticated: nobody that we know.
            TooMuch: the caller sent too many requests.
            StoreUnavailable: the database does not answer.
        """
        if self.known is None:
            caller = await self._find()
            self._limits.take_request(caller)
            self.known = caller
        return self.known

    async def _find(self) -> Caller:
        if self._is_off or not await self._keys.is_any_made():
            return ANYBODY
        scheme, _, credential = (self._authorization or "").partition(" ")
        if not self._authorization:
            raise NotAuthenticated("send a key: `Authorization: Bearer mneme_…`")
        if scheme.lower() != "bearer" or not credential.strip():
            raise NotAuthenticated("the Authorization header must be `Bearer` and a key or token", "invalid_request")
        try:
            return await self._keys.caller(credential.strip())
        except BadCredential as error:
            raise NotAuthenticated(str(error), "invalid_token") from None


async def caller_of(scope: Scope) -> Caller:
    """The caller of an ASGI request, for what is mounted beside the routes.

    Raises:
        NotAuthenticated: nobody that we know.
    """
    authentication: Authentication = scope["state"]["authentication"]
    return await authentication.caller()


async def _known(request: Request, _: Annotated[Any, Depends(_SCHEME)]) -> Caller:
    return await caller_of(request.scope)


Known = Annotated[Caller, Depends(_known)]


def require_user(caller: Caller, user_id: str) -> None:
    """Makes sure that the caller may act for that user.

    Raises:
        NotAllowed: the caller may not. The same for users that exist and users that do not.
    """
    if not caller.grant.covers(user_id):
        raise NotAllowed("this key or token is for another user")


async def _for_path_user(request: Request, caller: Known) -> Caller:
    require_user(caller, request.path_params["user_id"])
    return caller


async def _service(caller: Known) -> Caller:
    if not caller.grant.is_service():
        raise NotAllowed("only keys of scope service or admin may do this")
    return caller


async def _admin(caller: Known) -> Caller:
    if not caller.grant.is_admin():
        raise NotAllowed("only keys of scope admin may do this")
    return caller


@dataclasses.dataclass(frozen=True)
class Acting:
    """A caller whose request names its user somewhere else than in the path."""

    caller: Caller
    scope: Scope

    def user(self, named: str | None) -> str | None:
        """The user whom the request is for: the one it names, else the one whom the key or token is for.

        Returns:
            None where neither names one.

        Raises:
            NotAllowed: the request names a user whom the caller may not act for.
        """
        if named is None:
            named = self.caller.grant.user_id
        else:
            require_user(self.caller, named)
        self.scope["state"]["user_id"] = named  # for the audit log
        return named


async def _acting(request: Request, caller: Known) -> Acting:
    return Acting(caller, request.scope)


async def _metrics(request: Request, _: Annotated[Any, Depends(_SCHEME)]) -> None:
    settings: Settings = request.app.state.settings
    if settings.metrics == "off":
        raise HTTPException(HTTPStatus.NOT_FOUND)
    if settings.metrics == "admin":
        await _admin(await caller_of(request.scope))


async def _open_to_all() -> None:
    return None


UserCaller = Annotated[Caller, Security(_for_path_user, scopes=["user", "service", "admin"])]
ActingCaller = Annotated[Acting, Security(_acting, scopes=["user", "service", "admin"])]
ServiceCaller = Annotated[Caller, Security(_service, scopes=["service", "admin"])]
AdminCaller = Annotated[Caller, Security(_admin, scopes=["admin"])]
MetricsCaller = Annotated[None, Security(_metrics, scopes=["admin"])]
OpenToAll = Annotated[None, Depends(_open_to_all)]
