"""Pages: their pictures, their text, and why a query found them."""

from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response

from domain.page import page_id as named
from service.desk import DeskNow, ViewNow
from service.overlay import draw
from service.problems import GATE, described
from service.schemas import EvidenceOut, PageOut, PageText, Text

router = APIRouter(prefix="/v1/pages", tags=["pages"], responses=described(*GATE, 404))
Document = Annotated[str, Path(max_length=200, description="The document's id: a page id before its slash")]
Number = Annotated[int, Path(ge=1, le=1_000_000, description="The page number, from 1")]
IMMUTABLE = "private, max-age=31536000, immutable"
_PICTURE: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/webp": {}, "image/jpeg": {}, "image/png": {}}}
}


@router.get("/{document_id}/{number}", summary="Show a page")
def page(document_id: Document, number: Number, view: ViewNow) -> PageOut:
    """One page: its size, its state, and why it failed if it did."""
    return PageOut.model_validate(view.page(named(document_id, number)))


@router.get("/{document_id}/{number}/text", summary="Show a page's text")
def text(document_id: Document, number: Number, view: ViewNow) -> PageText:
    """A page's text layer, empty where it has none."""
    found = named(document_id, number)
    return PageText(page_id=found, text=view.text(found))


@router.get(
    "/{document_id}/{number}/image",
    responses={**_PICTURE, 304: {"description": "Not Modified"}},
    response_class=Response,
    summary="Show a page's picture",
)
async def image(
    document_id: Document,
    number: Number,
    request: Request,
    desk: DeskNow,
    view: ViewNow,
    width: Annotated[int | None, Query(ge=16, le=8000, description="At most so many pixels wide")] = None,
) -> Response:
    """The page as a picture. Its ETag names its content, so it may be kept for ever."""
    found = named(document_id, number)
    wanted = None if width is None else min(width, desk.settings.max_image_px)
    picture = await desk.engine.run(lambda: view.image(found, width=wanted))
    headers = {"ETag": f'"{picture.digest}"', "Cache-Control": IMMUTABLE}
    if picture.digest in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(picture.data, media_type=picture.media_type, headers=headers)


@router.get(
    "/{document_id}/{number}/evidence",
    response_model=EvidenceOut,
    responses={200: {"content": {"image/png": {}}}},
    summary="Show why a page was found",
)
async def evidence(  # noqa: PLR0913, PLR0917  each is a part of the URL or a shared value
    document_id: Document,
    number: Number,
    desk: DeskNow,
    view: ViewNow,
    query: Annotated[Text, Query(description="The question")],
    form: Annotated[Literal["json", "png"], Query(alias="format", description="Boxes or a picture")] = "json",
    width: Annotated[int, Query(ge=16, le=4000, description="Pixels of the picture")] = 1000,
) -> Response:
    """The late-interaction map of a query on a page, as boxes or drawn onto it, and the text around."""
    found = named(document_id, number)
    result = await desk.engine.run(lambda: view.evidence(found, query))
    if form == "png":
        wanted = min(width, desk.settings.max_image_px)
        picture = await desk.engine.run(lambda: view.image(found, width=wanted))
        data = await to_thread.run_sync(draw, picture.data, result.cells)
        return Response(data, media_type="image/png", headers={"Cache-Control": "private, max-age=600"})
    body = EvidenceOut.model_validate(result).model_dump_json()
    return Response(body, media_type="application/json", headers={"Cache-Control": "private, max-age=600"})
