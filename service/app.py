"""The application: everything wired together around one library."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles

from library.library import Library
from service.assistants import Assistants
from service.board import Board
from service.desk import Desk
from service.engine import Engine
from service.judgements import FILE_NAME, JudgementLog
from service.keys import KeyRing
from service.metrics import Metrics
from service.middleware import Envelope, Gate
from service.problems import Problem, install
from service.routes import documents, jobs, judgements, models, operation, pages, search
from service.settings import ServiceSettings
from service.thumbnails import Thumbnails
from service.uploads import sweep
from service.warmth import Warmth
from service.web import reports, views
from service.web.render import problem_page
from service.worker import Worker

STATIC = Path(__file__).parent / "web" / "static"
_ABOUT = (
    "Ask in plain words, get the pages that hold the answer, found by looking at pages as pictures. "
    "Errors are problems in the form of RFC 9457."
)


def create(library: Library, settings: ServiceSettings | None = None) -> FastAPI:
    """An application over a library; it indexes and loads models only while it runs."""
    chosen = settings or ServiceSettings()
    desk, assistants = _desk(library, chosen), Assistants()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        desk.warmth.start()
        desk.worker.start()
        async with assistants.open(desk):
            yield
        desk.board.close()
        desk.worker.stop()
        desk.engine.close()

    app = FastAPI(
        title="recto", version="0.1.0", description=_ABOUT, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.desk = desk
    install(app, page=problem_page)
    for module in (documents, jobs, search, judgements, pages, models, operation, views, reports):
        app.include_router(module.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.mount("/mcp", assistants.app, name="mcp")
    app.add_middleware(Gate, ring=desk.keys, settings=chosen)
    app.add_middleware(Envelope, metrics=desk.metrics)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's own way to extend the schema
    return app


def _desk(library: Library, settings: ServiceSettings) -> Desk:
    metrics, board = Metrics(), Board()
    worker = Worker(library, board, metrics)
    metrics.watch("recto_job_queue_depth", "Jobs that wait or run", worker.depth)
    return Desk(
        library=library,
        settings=settings,
        keys=KeyRing(library.directory),
        metrics=metrics,
        board=board,
        worker=worker,
        engine=Engine(library, settings, metrics),
        warmth=Warmth(library),
        thumbnails=Thumbnails(settings.cache_image_bytes),
        uploads=sweep(library.directory),
        judgements=JudgementLog(library.directory / FILE_NAME, on=settings.record_judgements),
    )


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        components = schema.setdefault("components", {})
        components.setdefault("schemas", {})["Problem"] = Problem.model_json_schema()
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        schema["security"] = [{"key": []}, {}]
        app.openapi_schema = schema
    return app.openapi_schema
