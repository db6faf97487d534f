"""Uploads, collections and documents."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from domain.errors import Failure, UsageError
from library.results import DocumentInfo, Job
from service.access import View
from service.desk import Desk, DeskNow, ViewNow
from service.problems import GATE, ProblemError, described
from service.schemas import (
    CollectionList,
    CollectionName,
    CollectionOut,
    DocumentList,
    DocumentOut,
    PageList,
    PageOut,
    Removed,
    UploadAccepted,
    UploadedDocument,
)
from service.uploads import Received, Upload, receive

router = APIRouter(prefix="/v1", tags=["documents"], responses=described(*GATE))
Collection = Annotated[CollectionName, Path(description="The collection's name", examples=["filings"])]
DocumentId = Annotated[str, Path(max_length=200, description="The document's id")]
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {
                        "files": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "PDF files, or images of pages",
                        },
                        "metadata": {
                            "type": "string",
                            "description": "A JSON object of strings, kept with every file; filters use it",
                        },
                    },
                },
                "encoding": {"files": {"contentType": "application/pdf, image/*"}},
            }
        },
    }
}


@router.post(
    "/collections/{collection}/documents",
    status_code=202,
    responses=described(400, 408, 409, 413, 415, 507),
    openapi_extra=_BODY,
    summary="Upload PDFs",
)
async def upload(
    collection: Collection,
    request: Request,
    desk: DeskNow,
    view: ViewNow,
) -> UploadAccepted:
    """Take files in. When this returns they are durable, and the job of the answer indexes them.

    A file whose content is there already is recognised; one that cannot be read is refused with its reason,
    and the others go on. A file replaces the older document of its name as soon as it can be searched.
    """
    return await take_in(desk, view, request, collection=collection)


async def take_in(desk: Desk, view: View, request: Request, *, collection: str) -> UploadAccepted:
    """Receive an upload, hand it to the library and wake the worker."""
    view.may_write(collection)
    content_type = request.headers.get("content-type", "")
    upload = await receive(request.stream(), content_type, folder=desk.uploads, settings=desk.settings)
    try:
        if not upload.files:
            raise UsageError("the upload holds no file; put PDFs into the field `files`")
        if not upload.good:
            raise _none_good(upload)
        metadata = _metadata(upload.fields.get("metadata", ""))
        answer = await to_thread.run_sync(_accept, view, upload, collection, metadata)
    finally:
        await to_thread.run_sync(upload.discard)
    desk.worker.wake()
    return answer


def _accept(view: View, upload: Upload, collection: str, metadata: dict[str, str]) -> UploadAccepted:
    names = {file.path: file.name for file in upload.good}
    job = view.accept(list(names), collection=collection, names=names, metadata=metadata)
    documents = [_became(file, job, view.twin(collection, file.sha256)) for file in upload.files]
    return UploadAccepted(job_id=job.id, documents=documents)


def _became(file: Received, job: Job, info: DocumentInfo | None) -> UploadedDocument:
    status: Literal["queued", "duplicate", "refused"] = "queued"
    reason, code, doc = "", None, info.id if info else None
    failure = file.refusal or _failure(file, job)
    if failure is not None:
        status, reason, code = "refused", failure.message, failure.code
    elif info is None or info.id not in job.documents:
        status = "duplicate"
        reason = next((s.reason for s in job.skipped if s.path in (file.name, str(file.path))), "")
        reason = reason or (f"same content as {info.name}" if info else "same content as another file")
    return UploadedDocument(
        id=doc,
        name=file.name,
        status=status,
        reason=reason,
        code=code,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
    )


def _failure(file: Received, job: Job) -> Failure | None:
    return next(
        (f.failure for f in job.failed if f.page is None and f.path in (file.name, str(file.path))), None
    )


def _none_good(upload: Upload) -> ProblemError:
    refused = [(file.name, file.refusal) for file in upload.files if file.refusal]
    errors = [{"file": name, "code": why.code, "message": why.message} for name, why in refused]
    first = errors[0]
    return ProblemError(422, first["code"], first["message"], errors=list(errors))


def bare(name: str) -> str:
    """A file's name without its `.pdf`."""
    return name[:-4] if name.lower().endswith(".pdf") else name


def _metadata(text: str) -> dict[str, str]:
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"metadata must be a JSON object of strings: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise UsageError("metadata must be a JSON object whose values are strings")
    return found


@router.get("/collections", summary="List collections")
def collections(view: ViewNow) -> CollectionList:
    """The collections that exist for the caller."""
    return CollectionList(collections=[CollectionOut.model_validate(i) for i in view.collections()])


@router.delete("/collections/{collection}", responses=described(404, 409), summary="Empty a collection")
def empty(collection: Collection, view: ViewNow) -> Removed:
    """Remove every document of a collection."""
    found = view.documents(collection)
    view.remove(*(info.id for info in found))
    return Removed(documents=len(found))


@router.get("/collections/{collection}/documents", responses=described(404), summary="List documents")
def documents(
    collection: Collection,
    view: ViewNow,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> DocumentList:
    """A collection's documents."""
    total = view.collection(collection).documents
    found = view.documents(collection, start=offset, most=limit)
    return DocumentList(documents=[DocumentOut.model_validate(info) for info in found], total=total)


@router.get("/documents/{document_id}", responses=described(404), summary="Show a document")
def document(document_id: DocumentId, view: ViewNow) -> DocumentOut:
    """One document and how far its pages are."""
    return DocumentOut.model_validate(view.document(document_id))


@router.delete(
    "/documents/{document_id}", status_code=204, responses=described(404, 409), summary="Remove a document"
)
def remove(document_id: DocumentId, view: ViewNow) -> Response:
    """Remove a document and its pages; searches stop finding them at once."""
    view.remove(document_id)
    return Response(status_code=204)


@router.get("/documents/{document_id}/pages", responses=described(404), summary="List a document's pages")
def pages(document_id: DocumentId, view: ViewNow) -> PageList:
    """A document's pages in order, with their states and failures."""
    return PageList(pages=[PageOut.model_validate(info) for info in view.pages(document_id)])


@router.get(
    "/documents/{document_id}/original",
    responses={200: {"content": {"application/pdf": {}}}, **described(404)},
    response_class=StreamingResponse,
    summary="Download the original",
)
def original(document_id: DocumentId, view: ViewNow) -> StreamingResponse:
    """The file as it was uploaded, always as an attachment."""
    info = view.document(document_id)
    body: Iterator[bytes] = view.original(document_id)
    headers = {
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(bare(info.name) + '.pdf', safe='')}",
        "Content-Length": str(info.size_bytes),
        "ETag": f'"{info.sha256}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return StreamingResponse(body, media_type="application/pdf", headers=headers)
