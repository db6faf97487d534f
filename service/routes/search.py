"""Search: one answer, or the first stage's at once and the final order after."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse, StreamingResponse

from domain.errors import RectoError, UsageError
from library.options import SearchOptions
from service.access import View
from service.desk import Desk, DeskNow, ViewNow
from service.problems import GATE, as_problem, described
from service.routes.jobs import EVENTS, event
from service.schemas import SearchIn, SearchOut

router = APIRouter(prefix="/v1", tags=["search"], responses=described(*GATE, 404, 503))


@router.post(
    "/search",
    response_model=SearchOut,
    responses={200: {"content": {EVENTS: {"schema": {"type": "string"}}}}},
    summary="Search pages",
)
async def search(asked: SearchIn, desk: DeskNow, view: ViewNow) -> Response:
    """Pages that answer a question, best first, with what every stage said of them.

    With `stream` the answer is a stream of events: `first` (the first stage alone), `final`, or `problem`.
    """
    options = options_of(asked, desk.settings.max_k)
    if asked.stream:
        limited = view.limited(options)
        return StreamingResponse(_stages(desk, view, asked.query, limited), media_type=EVENTS)
    result = await desk.engine.run(lambda: view.search(asked.query, options))
    return JSONResponse(SearchOut.of(result).model_dump())


def options_of(asked: SearchIn, max_k: int) -> SearchOptions:
    """The library's options of a request.

    Raises:
        UsageError: more pages are asked for than this service returns.
    """
    if asked.k > max_k:
        raise UsageError(f"k is {asked.k}; this service returns at most {max_k} pages")
    return SearchOptions(
        k=asked.k,
        collection=asked.collection,
        document=asked.document,
        filters=asked.filters,
        rerank=asked.rerank,
        budget_ms=asked.budget_ms,
        arms=tuple(asked.arms) if asked.arms else None,
    )


async def _stages(desk: Desk, view: View, query: str, options: SearchOptions) -> AsyncIterator[str]:
    try:
        first = replace(options, rerank="off")
        result = await desk.engine.run(lambda: view.search(query, first))
        yield event("first", SearchOut.of(result).model_dump_json())
        if options.rerank not in ("off", 0):
            result = await desk.engine.run(lambda: view.search(query, options))
        yield event("final", SearchOut.of(result).model_dump_json())
    except RectoError as error:
        problem = as_problem(error)
        yield event(
            "problem", json.dumps({"status": problem.status, "code": problem.code, "detail": problem.detail})
        )
