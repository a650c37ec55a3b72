"""The page: plain files, sent with a policy that lets nothing run but them.

They are the same for everybody and hold no user's data, so no key is needed to load them; what they show they ask of
the routes beside them.
"""

import functools
import gzip
import hashlib
from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.api.auth import OpenToAll

FOLDER = Path(__file__).resolve().parent.parent / "web"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # asked again each time, and answered with 304 where nothing changed
}
_KINDS = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}

router = APIRouter(include_in_schema=False)


@router.get("/")
def page(request: Request, caller: OpenToAll) -> Response:
    """The page itself."""
    return _file("index.html", request)


@router.get("/web/{path:path}")
def file(path: str, request: Request, caller: OpenToAll) -> Response:
    """What the page loads."""
    return _file(path, request)


def _file(path: str, request: Request) -> Response:
    found = (FOLDER / path).resolve()
    if not found.is_relative_to(FOLDER) or not found.is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND)
    content = found.read_bytes()
    headers = {**_HEADERS, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        content = _packed(content)
        headers["Content-Encoding"] = "gzip"
    headers["ETag"] = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(None, HTTPStatus.NOT_MODIFIED, headers)
    return Response(content, headers=headers, media_type=_KINDS.get(found.suffix, "text/plain"))


@functools.lru_cache(128)
def _packed(content: bytes) -> bytes:
    return gzip.compress(content, mtime=0)
