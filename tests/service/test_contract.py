"""The OpenAPI is kept: what it declares is what comes back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
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
def contract(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    folder = tmp_path_factory.mktemp("contract")
    with Library.open(folder / "library", WITHOUT_MODELS) as library:
        library._models._reranker = LatePages()
        path = folder / "a.pdf"
        path.write_bytes(pdf(("red", "rose"), ("blue", "sea")))
        library.index([path], collection="demo")
        with running(library) as url:
            yield schemathesis.openapi.from_url(f"{url}/openapi.json")


schema = schemathesis.pytest.from_fixture("contract")


@schema.parametrize()
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_every_endpoint_answers_as_the_openapi_says(case: schemathesis.Case) -> None:
    case.call_and_validate(checks=CHECKS)


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
