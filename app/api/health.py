"""What operators ask: is it alive, is it ready, which version, how much."""

import logging
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from app import __version__
from app.api.auth import MetricsCaller, OpenToAll
from app.api.dependencies import MemoriesDep
from app.api.errors import RESPONSES
from app.store import health
from app.store.database import StoreUnavailable

router = APIRouter(tags=["operation"])
logger = logging.getLogger(__name__)


@router.get("/health/live")
async def live(caller: OpenToAll) -> dict[str, str]:
    """The process answers. Touches nothing else."""
    return {"status": "live"}


@router.get("/health/ready", responses={503: {"description": "a part is missing; `parts` says which"}})
async def ready(request: Request, caller: OpenToAll, memories: MemoriesDep) -> JSONResponse:
    """The database keeps what it is given, and the generator answers."""
    try:
        await health.probe(memories.database)
        database = True
    except StoreUnavailable as error:
        logger.warning("not ready: %s", error)
        database = False
    parts: dict[str, Any] = {"database": database, "generator": await request.app.state.generator.ready()}
    whole = all(parts.values())
    return JSONResponse({"status": "ready" if whole else "not ready", "parts": parts}, 200 if whole else 503)


@router.get("/version")
async def version(caller: OpenToAll, memories: MemoriesDep) -> dict[str, str]:
    """The version, and the fingerprint of the weights that write memories."""
    return {"version": __version__, "fingerprint": memories.device.fingerprint}


@router.get("/metrics", response_class=Response, responses={status: RESPONSES[status] for status in (401, 403, 404)})
async def metrics(caller: MetricsCaller) -> Response:
    """Prometheus metrics."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
