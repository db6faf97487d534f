"""The OpenAPI is kept: what it declares is what comes back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.testclient import TestClient

from library.library import Library
from tests.service.samples import WITHOUT_MODELS, LatePages, pdf, running

pytestmark = [pytest.mark.service, pytest.mark.slow]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseSchema]:
    folder = tmp_path_factory.mktemp("contract")
    with Library.open(folder / "library", WITHOUT_MODELS) as library:
        library._models._reranker = LatePages()
        path = folder / "a.pdf"
        path.write_bytes(pdf(("red", "rose"), ("blue", "sea")))
        library.index([path], collection="demo")
        with running(library) as url:
            yield schemathesis.openapi.from_url(f"{url}/openapi.json")


def test_every_endpoint_answers_as_the_openapi_says(contract: BaseSchema) -> None:
    wrong: list[str] = []
    asked: list[str] = []
    for found in contract.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=5,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: schemathesis.Case) -> None:
            case.call_and_validate(checks=CHECKS, timeout=500)
            asked.append(case.operation.label)

        try:
            ask()
        except (FailureGroup, Failure, ExceptionGroup) as failure:
            wrong.append(f"{operation.label}: {_told(failure)}")
    assert wrong == []
    assert {"POST /v1/search", "GET /v1/jobs/{job_id}", "GET /healthz"} <= set(asked)


def _told(failure: BaseException) -> str:
    parts = failure.exceptions if isinstance(failure, BaseExceptionGroup) else [failure]
    return "; ".join(str(part)[:600] for part in parts)


def test_every_operation_has_a_summary_and_declares_its_problems(stocked: TestClient) -> None:
    document = stocked.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            assert operation["summary"], path
            if path.startswith("/v1"):
                for status in ("401", "422", "429"):
                    content = operation["responses"][status]["content"]
                    assert list(content) == ["application/problem+json"], (verb, path)


def test_the_documents_page_shows_every_operation(stocked: TestClient, tmp_path: Path) -> None:
    page = stocked.get("/docs").text
    for path in stocked.get("/openapi.json").json()["paths"]:
        assert path in page
