"""The documentation of the routes, as a page that loads nothing from elsewhere."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.auth import OpenToAll
from app.api.page import FOLDER

# Swagger UI sets styles on elements and draws with data: images; scripts are its files alone.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def documentation(request: Request, caller: OpenToAll) -> Response:
    """Every route, to read and to try."""
    headers = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
    return Response((FOLDER / "documentation.html").read_bytes(), headers=headers, media_type="text/html")
