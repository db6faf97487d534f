"""The pages that people see. Each state of each page has a link."""

from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Form, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from domain.errors import RectoError, UsageError
from domain.page import page_id as named
from library.options import SearchOptions
from library.results import SearchResult
from service.access import View
from service.desk import DeskNow, ViewNow
from service.middleware import COOKIE
from service.problems import as_problem
from service.routes.documents import take_in
from service.routes.jobs import ENDED
from service.schemas import CollectionName
from service.web.hits import Asked, shown
from service.web.render import Place, render, segment
from service.web.shelves import cover, shelves
from service.web.told import Told, files, places, reasons, told

router = APIRouter(include_in_schema=False)
Collection = Annotated[CollectionName, Path()]
Number = Annotated[int, Path(ge=1, le=1_000_000)]
_LISTED = 200
_PENDING = 20


@router.get("/")
def home(request: Request, view: ViewNow) -> Response:
    """The search box and what can be searched."""
    found = shelves(view)
    values = {"ready": sum(shelf.info.ready_pages for shelf in found), "pending": _pending(view)}
    place = Place("home.html", "Search pages", "search")
    return render(request, place, **values, shelves=found, asked=Asked())


def _pending(view: View, collection: str | None = None) -> tuple[Told, ...]:
    jobs = view.jobs(unfinished=True)
    return told(view, [job for job in jobs if collection in (None, job.collection)][:_PENDING])


@router.get("/search")
async def search(
    request: Request, desk: DeskNow, view: ViewNow, asked: Annotated[Asked, Query()]
) -> Response:
    """Ranked pages, or the box alone where nothing is asked."""
    text = asked.q.strip()
    result: SearchResult | None = None
    failed = None
    if text:
        try:
            result = await desk.engine.run(lambda: view.search(text, _options(asked, desk.settings.max_k)))
        except RectoError as error:
            failed = as_problem(error)
    names = await to_thread.run_sync(lambda: [info.name for info in view.collections()])
    answer = await to_thread.run_sync(lambda: shown(view, result, asked)) if result else None
    status = failed.status if failed else 200
    place = Place(
        "results.html" if asked.fragment else "search.html", text or "Search pages", "search", status
    )
    values = {"answer": answer, "failed": failed, "names": names, "judging": desk.judgements.on}
    return render(request, place, asked=asked, **values)


def _options(asked: Asked, max_k: int) -> SearchOptions:
    rerank = asked.rerank if asked.rerank in ("auto", "off") else int(asked.rerank)
    return SearchOptions(
        k=min(asked.k, max_k),
        collection=asked.collection or None,
        document=asked.document.strip() or None,
        filters=asked.filters(),
        rerank=rerank,  # type: ignore[arg-type]  # the pattern of Asked leaves auto, off and digits
    )


@router.get("/collections")
def collections(request: Request, view: ViewNow, name: str = "") -> Response:
    """All collections; a name goes to that one, which its first upload makes."""
    if name.strip():
        return RedirectResponse(f"/collections/{segment(name.strip()[:100])}", 303)
    place = Place("collections.html", "Collections", "collections")
    return render(request, place, shelves=shelves(view))


@router.get("/collections/{collection}")
def collection_page(
    request: Request, collection: Collection, view: ViewNow, start: Annotated[int, Query(ge=0)] = 0
) -> Response:
    """One collection: its documents, and where to drop more."""
    total = next((info.documents for info in view.collections() if info.name == collection), 0)
    documents = view.documents(collection, start=start, most=_LISTED) if total else ()
    values: dict[str, Any] = {
        "documents": [(info, cover(view, info)) for info in documents],
        "total": total,
        "start": start,
        "step": _LISTED,
        "pending": _pending(view, collection),
    }
    return render(request, Place("collection.html", collection, "collections"), name=collection, **values)


@router.post("/collections/{collection}/upload")
async def upload(request: Request, collection: Collection, desk: DeskNow, view: ViewNow) -> Response:
    """An upload by a form, for browsers without scripts; leads to its job."""
    answer = await take_in(desk, view, request, collection=collection)
    return RedirectResponse(f"/jobs/{answer.job_id}", 303)


@router.get("/documents/{document_id}")
def document_page(request: Request, document_id: str, view: ViewNow) -> Response:
    """One document: its pages, as pictures."""
    info, pages = view.document(document_id), view.pages(document_id)
    return render(request, Place("document.html", info.name, "collections"), info=info, pages=pages)


@router.post("/documents/{document_id}/remove")
def remove(document_id: str, view: ViewNow) -> Response:
    """Remove a document, by a form."""
    info = view.document(document_id)
    view.remove(document_id)
    return RedirectResponse(f"/collections/{segment(info.collection)}", 303)


@router.get("/pages/{document_id}/{number}")
async def viewer(
    request: Request,
    document_id: str,
    number: Number,
    desk: DeskNow,
    view: ViewNow,
    asked: Annotated[Asked, Query()],
) -> Response:
    """One page, large: its neighbours, its zoom, and why it was found."""
    info = await to_thread.run_sync(view.page, named(document_id, number))
    pages = await to_thread.run_sync(view.pages, document_id)
    text = await to_thread.run_sync(view.text, info.id)
    evidence, failed = None, ""
    if asked.q.strip() and asked.why:
        try:
            evidence = await desk.engine.run(lambda: view.evidence(info.id, asked.q.strip()))
        except UsageError as error:  # a library without a visual arm still has pages to show
            failed = str(error)
    around = [page for page in pages if abs(page.number - number) <= 3]
    values: dict[str, Any] = {
        "info": info,
        "total": len(pages),
        "around": around,
        "text": text,
        "failed": failed,
    }
    cells = places(evidence.cells) if evidence else ()
    place = Place("viewer.html", f"{info.document}, page {number}", "search")
    found: dict[str, Any] = {"evidence": evidence, "cells": cells, "reasons": reasons(cells)}
    return render(request, place, **values, **found, asked=asked, judging=desk.judgements.on)


@router.get("/jobs")
def jobs(request: Request, view: ViewNow) -> Response:
    """Every job, the newest first."""
    return render(request, Place("jobs.html", "Jobs", "jobs"), jobs=told(view, view.jobs(most=_LISTED)))


@router.get("/jobs/{job_id}")
def job_page(request: Request, job_id: str, view: ViewNow) -> Response:
    """One job: how far it is, and exactly what failed."""
    job = view.job(job_id)
    title = told(view, [job])[0].title
    values: dict[str, Any] = {"ended": job.status in ENDED, "documents": files(view, job)}
    return render(request, Place("job.html", title, "jobs"), job=job, title_of=title, **values)


@router.post("/jobs/{job_id}/cancel")
def cancel(job_id: str, desk: DeskNow, view: ViewNow) -> Response:
    """Cancel a job, by a form."""
    if view.job(job_id).status not in ENDED:
        view.cancel(job_id)
        desk.worker.halt(job_id)
    return RedirectResponse(f"/jobs/{job_id}", 303)


@router.get("/sign-in")
def sign_in_page(request: Request, to: str = "/") -> Response:
    """Where a key is entered."""
    return render(request, Place("sign_in.html", "Sign in"), to=_local(to), wrong=False)


@router.post("/sign-in")
def sign_in(
    request: Request,
    desk: DeskNow,
    key: Annotated[str, Form(max_length=200)],
    to: Annotated[str, Form()] = "/",
) -> Response:
    """Keep a key in a cookie that no script can read and no other site can send."""
    if desk.keys.find(key.strip()) is None:
        place = Place("sign_in.html", "Sign in", status=401)
        return render(request, place, to=_local(to), wrong=True)
    answer = RedirectResponse(_local(to), 303)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, key.strip(), httponly=True, samesite="strict", secure=secure, max_age=2_592_000)
    return answer


@router.post("/sign-out")
def sign_out() -> Response:
    """Forget the key."""
    answer = RedirectResponse("/sign-in", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def _local(path: str) -> str:
    """A path of this service; anything that could lead elsewhere leads home."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) else "/"
