"""What one running service shares among its requests, and how a route reaches it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import Depends, Request

from library.library import Library
from service.access import Caller, View
from service.board import Board
from service.engine import Engine
from service.judgements import JudgementLog
from service.keys import KeyRing
from service.metrics import Metrics
from service.problems import ProblemError
from service.settings import ServiceSettings
from service.thumbnails import Thumbnails
from service.warmth import Warmth
from service.worker import Worker


@dataclass(frozen=True, slots=True)
class Desk:
    """The library and everything that stands around it while the service runs."""

    library: Library
    settings: ServiceSettings
    keys: KeyRing
    metrics: Metrics
    board: Board
    worker: Worker
    engine: Engine
    warmth: Warmth
    thumbnails: Thumbnails
    uploads: Path
    judgements: JudgementLog

    def view(self, caller: Caller) -> View:
        """The library as this caller sees it."""
        return View(
            self.library,
            caller,
            search=self.engine.search,
            thumbnails=self.thumbnails,
            turn=self.worker.paused,
        )


def desk_of(request: Request) -> Desk:
    """The desk of the application that serves this request."""
    desk = request.app.state.desk
    if not isinstance(desk, Desk):
        raise ProblemError(503, "starting", "the service is not ready yet", headers={"Retry-After": "1"})
    return desk


def caller_of(request: Request) -> Caller:
    """Who sent this request; the gate has put it there."""
    caller = request.scope.get("state", {}).get("caller")
    if not isinstance(caller, Caller):
        raise ProblemError(401, "unauthorized", "give a key", headers={"WWW-Authenticate": "Bearer"})
    return caller


DeskNow = Annotated[Desk, Depends(desk_of)]
CallerNow = Annotated[Caller, Depends(caller_of)]


def view_of(desk: DeskNow, caller: CallerNow) -> View:
    """The library as the sender of this request sees it."""
    return desk.view(caller)


ViewNow = Annotated[View, Depends(view_of)]
