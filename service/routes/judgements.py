"""Judgements: which page answered a question, told by those who asked."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Path, Response
from fastapi.responses import RedirectResponse
from pydantic import ConfigDict, Field

from domain.page import page_id as named
from service.desk import DeskNow, ViewNow
from service.problems import GATE, described
from service.schemas import In, Text
from service.web.hits import Asked

router = APIRouter()
Document = Annotated[str, Path(max_length=200)]
Number = Annotated[int, Path(ge=1, le=1_000_000)]


class JudgementIn(In):
    """A page that somebody opened or judged for a question."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"query": "operating margin", "page_id": "0f3a9c5be2d14a77/0007", "score": 1}]
        },
    )
    query: Text = Field(description="The question")
    page_id: Annotated[str, Field(max_length=220, description="The page")]
    score: Annotated[int, Field(ge=0, le=3)] | None = Field(
        default=None, description="0: it does not answer; higher: better; absent: it was opened, not judged"
    )


@router.post(
    "/v1/judgements",
    status_code=204,
    tags=["search"],
    responses=described(*GATE, 404),
    summary="Keep a judgement",
)
def judge(asked: JudgementIn, desk: DeskNow, view: ViewNow) -> Response:
    """Keep which page was opened or judged for a question; 404 where the operator has not turned it on."""
    desk.judgements.add(asked.query, view.page(asked.page_id).id, asked.score)
    return Response(status_code=204)


@router.post("/pages/{document_id}/{number}/judge", include_in_schema=False)
def judge_by_form(
    document_id: Document,
    number: Number,
    desk: DeskNow,
    view: ViewNow,
    q: Annotated[Text, Form()],
    verdict: Annotated[Literal["yes", "no"], Form()],
) -> Response:
    """Judge the page that is shown, by a form; leads back to it."""
    page = view.page(named(document_id, number)).id
    desk.judgements.add(q, page, 1 if verdict == "yes" else 0)
    return RedirectResponse(Asked(q=q, why=True).link(f"/pages/{page}", judged=verdict), 303)
