"""A typed client of a recto service: what the HTTP API can do, as methods."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel

from domain.errors import BusyError, EngineError, NotFoundError, RectoError, UsageError
from service.model_schemas import EmbeddingsOut, RerankOut
from service.schemas import (
    CollectionList,
    CollectionOut,
    DocumentList,
    DocumentOut,
    EvidenceOut,
    JobOut,
    PageList,
    PageOut,
    Removed,
    SearchOut,
    UploadAccepted,
)

Shape = TypeVar("Shape", bound=BaseModel)
_ERRORS: Mapping[int, type[RectoError]] = {
    404: NotFoundError,
    409: BusyError,
    429: BusyError,
    503: EngineError,
}


class Client:
    """Talks to one service. Refusals of the service are raised as recto's own errors, with its sentence."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        *,
        timeout_s: float = 120.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Use the service at this address; nothing is sent yet."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, transport=transport)

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def upload(
        self,
        paths: Sequence[Path | str],
        *,
        collection: str = "default",
        metadata: Mapping[str, str] | None = None,
    ) -> UploadAccepted:
        """Send files; when this returns they are durable and their job waits or runs."""
        fields = {"metadata": json.dumps(dict(metadata))} if metadata else {}
        with ExitStack() as opened:
            files = [
                ("files", (Path(path).name, opened.enter_context(Path(path).open("rb")))) for path in paths
            ]
            place = f"/v1/collections/{quote(collection, safe='')}/documents"
            return self._ask(UploadAccepted, "POST", place, files=files, data=fields)

    def job(self, job_id: str) -> JobOut:
        """How far a job got."""
        return self._ask(JobOut, "GET", f"/v1/jobs/{_one(job_id)}")

    def follow(self, job_id: str) -> Iterator[dict[str, Any]]:
        """Steps of a job as they happen; ends with the job. Each has its event's name under `event`."""
        with self._http.stream("GET", f"/v1/jobs/{_one(job_id)}/events", timeout=None) as answer:
            if answer.is_error:
                answer.read()
                raise refusal(answer)
            name = ""
            for line in answer.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    yield {"event": name, **json.loads(line.removeprefix("data: "))}

    def wait(self, job_id: str) -> JobOut:
        """Wait until a job has ended."""
        for _ in self.follow(job_id):
            pass
        return self.job(job_id)

    def cancel(self, job_id: str) -> JobOut:
        """Stop a job after its batch in hand."""
        return self._ask(JobOut, "DELETE", f"/v1/jobs/{_one(job_id)}")

    def collections(self) -> list[CollectionOut]:
        """The collections that exist for this key."""
        return self._ask(CollectionList, "GET", "/v1/collections").collections

    def documents(self, collection: str) -> list[DocumentOut]:
        """Every document of a collection."""
        found: list[DocumentOut] = []
        while True:
            place = f"/v1/collections/{quote(collection, safe='')}/documents"
            part = self._ask(DocumentList, "GET", place, params={"offset": len(found)})
            found += part.documents
            if len(found) >= part.total or not part.documents:
                return found

    def empty(self, collection: str) -> int:
        """Remove every document of a collection, and so the collection; how many there were."""
        return self._ask(Removed, "DELETE", f"/v1/collections/{_one(collection)}").documents

    def document(self, document_id: str) -> DocumentOut:
        """One document."""
        return self._ask(DocumentOut, "GET", f"/v1/documents/{_one(document_id)}")

    def pages(self, document_id: str) -> list[PageOut]:
        """A document's pages, in order."""
        return self._ask(PageList, "GET", f"/v1/documents/{_one(document_id)}/pages").pages

    def remove(self, document_id: str) -> None:
        """Remove a document and its pages."""
        self._bytes("DELETE", f"/v1/documents/{_one(document_id)}")

    def original(self, document_id: str) -> bytes:
        """The file as it was uploaded."""
        return self._bytes("GET", f"/v1/documents/{_one(document_id)}/original")

    def search(self, query: str, **options: Any) -> SearchOut:
        """Pages that answer a question; the options are those of `POST /v1/search`."""
        return self._ask(SearchOut, "POST", "/v1/search", json={"query": query, **options})

    def judge(self, query: str, page_id: str, score: int | None = None) -> None:
        """Keep that a page was opened, or how well it answers (0: not), where the service keeps such."""
        asked = {"query": query, "page_id": page_id} | ({} if score is None else {"score": score})
        self._bytes("POST", "/v1/judgements", json=asked)

    def image(self, page_id: str, *, width: int | None = None) -> bytes:
        """A page's picture, encoded."""
        params = {} if width is None else {"width": width}
        return self._bytes("GET", f"/v1/pages/{page_id}/image", params=params)

    def evidence(self, page_id: str, query: str) -> EvidenceOut:
        """Where on a page a question finds its answer."""
        return self._ask(EvidenceOut, "GET", f"/v1/pages/{page_id}/evidence", params={"query": query})

    def rerank(
        self, query: str, documents: Sequence[str | Mapping[str, str]], *, top_n: int | None = None
    ) -> RerankOut:
        """Documents by falling relevance to a query."""
        asked = {"query": query, "documents": list(documents), "top_n": top_n}
        return self._ask(RerankOut, "POST", "/v1/rerank", json=asked)

    def embed(self, inputs: Sequence[str | Mapping[str, str]], *, pooling: str = "mean") -> EmbeddingsOut:
        """The vectors of queries or page images."""
        return self._ask(
            EmbeddingsOut, "POST", "/v1/embeddings", json={"input": list(inputs), "pooling": pooling}
        )

    def _ask(self, shape: type[Shape], method: str, place: str, **content: Any) -> Shape:
        return shape.model_validate_json(self._bytes(method, place, **content))

    def _bytes(self, method: str, place: str, **content: Any) -> bytes:
        try:
            answer = self._http.request(method, place, **content)
        except httpx.TransportError as error:
            raise EngineError(f"no answer from the service at {self._http.base_url}: {error}") from error
        if answer.is_error:
            raise refusal(answer)
        return answer.content


def refusal(answer: httpx.Response) -> RectoError:
    """The error that a refusing response stands for, with the service's own sentence."""
    try:
        detail = str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"the service answered {answer.status_code}"
    kind = _ERRORS.get(answer.status_code, UsageError if answer.status_code < 500 else RectoError)
    return kind(detail)


def _one(text: str) -> str:
    return quote(text, safe="")
