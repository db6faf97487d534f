"""Health, figures, headers, logs and limits."""

import errno
import logging
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from domain.errors import UsageError
from library.library import Library
from service.keys import KeyRing
from service.limits import Rates
from service.main import JsonLines, check
from service.problems import ProblemError
from service.settings import ServiceSettings

pytestmark = pytest.mark.service


def test_the_service_says_that_it_lives_and_when_it_is_ready(stocked: TestClient) -> None:
    assert stocked.get("/healthz").json() == {"status": "ok"}
    stocked.app.state.desk.warmth.join(30)  # type: ignore[attr-defined]
    ready = stocked.get("/readyz")
    assert ready.json() == {"status": "ready", "checks": {"models": "ok", "catalogue": "ok", "worker": "ok"}}


def test_a_full_disk_has_a_status_of_its_own(stocked: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stocked.app.state.desk.library, "collections", full)  # type: ignore[attr-defined]  # a client holds any application
    answer = stocked.get("/v1/collections")
    assert answer.status_code == 507
    assert answer.json()["code"] == "disk-full"
    assert "make room" in answer.json()["detail"]


def test_figures_tell_stages_queue_and_pages(stocked: TestClient) -> None:
    stocked.post("/v1/search", json={"query": "red"})
    page = stocked.get("/metrics").text
    for name in (
        "recto_stage_seconds_bucket",
        "recto_job_queue_depth",
        "recto_pages_indexed_total",
        "recto_pages_per_second",
        "recto_query_cache_total",
        "recto_batch_queries_bucket",
        "process_resident_memory_bytes",
        'recto_requests_total{method="POST",route="/v1/search",status="200"}',
    ):
        assert name in page, name


def test_every_answer_carries_an_id_and_safe_headers(stocked: TestClient) -> None:
    for path in ("/", "/healthz", "/v1/jobs/none", "/static/recto.css", "/nothing"):
        headers = stocked.get(path).headers
        assert len(headers["x-request-id"]) == 32
        assert headers["content-security-policy"].startswith("default-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"


def test_a_good_request_id_is_kept_and_a_bad_one_replaced(stocked: TestClient) -> None:
    assert stocked.get("/healthz", headers={"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert stocked.get("/healthz", headers={"x-request-id": "a b"}).headers["x-request-id"] != "a b"


def test_no_query_and_no_file_name_reach_the_log(
    stocked: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        stocked.post("/v1/search", json={"query": "confidential rose"})
        stocked.get("/search?q=confidential+rose")
    lines = [JsonLines().format(record) for record in caplog.records if not record.name.startswith("httpx")]
    assert any('"route": "/v1/search"' in line for line in lines)
    assert not any("confidential" in line for line in lines)


def test_a_page_of_another_origin_may_not_change_anything(stocked: TestClient) -> None:
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        answer = stocked.delete("/v1/collections/demo", headers=headers)
        assert answer.status_code == 403
        assert answer.json()["code"] == "cross-origin"


def test_a_foreign_host_name_is_not_answered_while_there_are_no_keys(stocked: TestClient) -> None:
    assert stocked.get("/v1/collections", headers={"host": "evil.example"}).status_code == 421
    assert stocked.get("/v1/collections", headers={"host": "127.0.0.1:9"}).status_code == 200


def test_an_address_that_strangers_reach_needs_keys(library: Library) -> None:
    with pytest.raises(UsageError, match="recto keys create"):
        check(library.directory, ServiceSettings(host="0.0.0.0"))  # noqa: S104  it is refused
    check(library.directory, ServiceSettings(host="127.0.0.1"))
    check(library.directory, ServiceSettings(host="::1"))
    KeyRing(library.directory).create("ops", ["admin"])
    check(library.directory, ServiceSettings(host="0.0.0.0"))  # noqa: S104  a key exists now


def test_a_caller_that_asks_too_often_is_told_when_to_come_back(serve: Callable[..., TestClient]) -> None:
    client = serve(requests_per_s=0.5, burst=2)
    codes = [client.get("/v1/collections").status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    answer = client.get("/v1/collections")
    assert int(answer.headers["retry-after"]) >= 1
    assert client.get("/healthz").status_code == 200


def test_a_bucket_fills_again_with_time() -> None:
    now = [0.0]
    rates = Rates(1.0, 2, now=lambda: now[0])
    rates.take("a")
    rates.take("a")
    with pytest.raises(ProblemError, match="try again"):
        rates.take("a")
    rates.take("b")
    now[0] = 1.5
    rates.take("a")


def test_one_request_too_many_is_turned_away_instead_of_queued(serve: Callable[..., TestClient]) -> None:
    client = serve(max_waiting=0)
    answer = client.post("/v1/search", json={"query": "red"})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


def test_a_body_over_the_limit_is_refused_declared_or_not(serve: Callable[..., TestClient]) -> None:
    client = serve(max_body_bytes=1000)
    body = b'{"query": "' + b"x" * 2000 + b'"}'
    declared = client.post("/v1/search", content=body)
    chunked = client.post("/v1/search", content=(body[i : i + 100] for i in range(0, len(body), 100)))
    assert [declared.status_code, chunked.status_code] == [413, 413]
    assert chunked.json()["code"] == "too-large"
