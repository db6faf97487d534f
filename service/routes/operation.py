"""For whoever runs the service: is it alive, can it answer, what does it do."""

from fastapi import APIRouter, Response

from domain.errors import RectoError
from service.desk import CallerNow, Desk, DeskNow
from service.metrics import MEDIA_TYPE
from service.problems import described
from service.schemas import Health, Ready

router = APIRouter(tags=["operation"])


@router.get("/healthz", summary="Alive?")
def healthz() -> Health:
    """The process answers; says nothing about the models."""
    return Health()


@router.get(
    "/readyz", responses={503: {"model": Ready, "description": "Not ready"}}, summary="Ready to search?"
)
def readyz(desk: DeskNow, response: Response) -> Ready:
    """Whether the models are loaded, the catalogue answers and the worker lives."""
    checks = _checks(desk)
    bad = [name for name, state in checks.items() if state != "ok"]
    if not bad:
        return Ready(status="ready", checks=checks)
    response.status_code = 503
    response.headers["Retry-After"] = "2"
    return Ready(status="starting" if checks[bad[0]] == "loading" else "failed", checks=checks)


def _checks(desk: Desk) -> dict[str, str]:
    models = "ok" if desk.warmth.ready else "failed; the log says why" if desk.warmth.failure else "loading"
    return {
        "models": models,
        "catalogue": _catalogue(desk),
        "worker": "ok" if desk.worker.alive else "the ingest thread has ended; restart the service",
    }


def _catalogue(desk: Desk) -> str:
    try:
        desk.library.collections()
    except RectoError:
        return "failed; the log says why"
    return "ok"


@router.get(
    "/metrics",
    responses={200: {"content": {"text/plain": {}}}, **described(401, 403)},
    response_class=Response,
    summary="Figures for Prometheus",
)
def metrics(desk: DeskNow, caller: CallerNow) -> Response:
    """Requests, stage latencies, queue depth, pages a second, memory; needs a key that sees everything."""
    caller.need("read" if caller.collections is None else "admin")
    return Response(desk.metrics.page(), media_type=MEDIA_TYPE)
