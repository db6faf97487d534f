"""Jobs: how far an upload got, told once or as it happens."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Query
from fastapi.responses import StreamingResponse

from service.access import View
from service.desk import Desk, DeskNow, ViewNow
from service.problems import GATE, described
from service.schemas import JobList, JobOut

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=described(*GATE))
JobId = Annotated[str, Path(max_length=200, description="The job's id")]
ENDED = ("done", "failed", "cancelled")
EVENTS = "text/event-stream"


@router.get("", summary="List jobs")
def jobs(
    view: ViewNow,
    limit: Annotated[int, Query(ge=1, le=1000, description="At most so many")] = 100,
    unfinished: Annotated[bool, Query(description="Only those that wait or run")] = False,  # noqa: FBT002  a query parameter
) -> JobList:
    """Jobs, the newest first."""
    found = view.jobs(unfinished=unfinished, most=limit)
    return JobList(jobs=[JobOut.model_validate(job) for job in found])


@router.get("/{job_id}", responses=described(404), summary="Show a job")
def job(job_id: JobId, view: ViewNow) -> JobOut:
    """How far a job got, and exactly why what failed failed."""
    return JobOut.model_validate(view.job(job_id))


@router.delete("/{job_id}", responses=described(404, 409), summary="Cancel a job")
def cancel(job_id: JobId, desk: DeskNow, view: ViewNow) -> JobOut:
    """Stop a job after the batch in hand; pages that are ready stay."""
    found = view.job(job_id)
    if found.status not in ENDED:
        found = view.cancel(job_id)
        desk.worker.halt(job_id)
    else:
        view.caller.need("write")
    return JobOut.model_validate(found)


@router.get(
    "/{job_id}/events",
    responses={200: {"content": {EVENTS: {"schema": {"type": "string"}}}}, **described(404)},
    response_class=StreamingResponse,
    summary="Follow a job",
)
async def events(job_id: JobId, desk: DeskNow, view: ViewNow) -> StreamingResponse:
    """Server-sent events: `job` with the whole state, `progress` a step, `end` with the last state."""
    await to_thread.run_sync(view.job, job_id)
    return StreamingResponse(
        _follow(desk, view, job_id), media_type=EVENTS, headers={"Cache-Control": "no-store"}
    )


async def _follow(desk: Desk, view: View, job_id: str) -> AsyncIterator[str]:
    with desk.board.listening(job_id) as reader:
        state = await _state(view, job_id)
        yield event("end" if state.status in ENDED else "job", state.model_dump_json())
        if state.status in ENDED:
            return
        async for news in reader.news(desk.settings.heartbeat_s):
            if news is not None and news.progress is not None:
                yield event("progress", json.dumps(asdict(news.progress)))
                continue
            state = await _state(view, job_id)
            if state.status in ENDED:
                yield event("end", state.model_dump_json())
                return
            yield ": waiting\n\n" if news is None else event("job", state.model_dump_json())


async def _state(view: View, job_id: str) -> JobOut:
    return JobOut.model_validate(await to_thread.run_sync(view.job, job_id))


def event(name: str, data: str) -> str:
    """One server-sent event; the data must be JSON, which holds no line break."""
    return f"event: {name}\ndata: {data}\n\n"
