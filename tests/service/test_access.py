"""Keys, scopes, and the law that no key sees another collection."""

import io
import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from typer.testing import CliRunner

from domain.errors import NotFoundError, RectoError, StoreError, UsageError
from library.library import Library
from library.options import SearchOptions
from recto.keys import app as keys_command
from service.access import Caller, View
from service.app import create
from service.keys import KeyRing
from tests.service.samples import WITHOUT_MODELS, pdf

COLLECTIONS = ("a", "b", "c")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    """Three collections, each with a document that every query matches."""
    folder = tmp_path_factory.mktemp("shelf")
    with Library.open(folder / "library", WITHOUT_MODELS) as library:
        for name in COLLECTIONS:
            path = folder / f"of-{name}.pdf"
            path.write_bytes(pdf(("red", f"rose {name}"), ("blue", "sea")))
            library.index([path], collection=name)
        yield library


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def test_a_key_is_found_again_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    key = KeyRing(tmp_path).create("me", ["read"], ["a"])
    found = KeyRing(tmp_path).find(key)
    assert found is not None
    assert (found.name, found.collections) == ("me", ("a",))
    kept = (tmp_path / "keys.json").read_text()
    _, _, secret = key.split("_", 2)
    assert secret not in kept
    assert stat.S_IMODE((tmp_path / "keys.json").stat().st_mode) == 0o600


@given(st.text(max_size=80))
def test_no_other_text_is_a_key(text: str) -> None:
    ring = KeyRing(Path("/nonexistent"))
    assert ring.find(text) is None
    assert ring.find(f"recto_{'0' * 12}_{text}") is None


def test_a_key_with_one_letter_changed_is_refused(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    key = ring.create("me", ["read"])
    for place in range(6, len(key)):
        other = "b" if key[place] == "a" else "a"
        assert ring.find(key[:place] + other + key[place + 1 :]) is None


def test_a_revoked_key_is_refused_by_a_ring_that_was_open(tmp_path: Path) -> None:
    serving, command = KeyRing(tmp_path), KeyRing(tmp_path)
    key = command.create("me", ["read"])
    found = serving.find(key)
    assert found is not None
    command.revoke(found.id)
    assert serving.find(key) is None
    with pytest.raises(NotFoundError, match="recto keys list"):
        command.revoke(found.id)


def test_a_damaged_key_file_lets_nobody_in(tmp_path: Path) -> None:
    (tmp_path / "keys.json").write_text("{")
    with pytest.raises(StoreError, match=r"keys\.json"):
        KeyRing(tmp_path).keys()


def test_a_scope_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="read, write, admin"):
        KeyRing(tmp_path).create("me", ["root"])
    with pytest.raises(UsageError, match="name"):
        KeyRing(tmp_path).create(" ", ["read"])


def test_the_command_makes_lists_and_revokes_keys(tmp_path: Path) -> None:
    run, place = CliRunner().invoke, ["--library", str(tmp_path)]
    made = json.loads(run(keys_command, ["create", "ops", "--scope", "write", "--json", *place]).output)
    assert KeyRing(tmp_path).find(made["key"]) is not None
    listed = json.loads(run(keys_command, ["list", "--json", *place]).output)
    assert [key["name"] for key in listed] == ["ops"]
    assert "secret" not in json.dumps(listed)
    assert run(keys_command, ["revoke", made["id"], *place]).exit_code == 0
    assert run(keys_command, ["revoke", made["id"], *place]).exit_code == 2
    assert run(keys_command, ["create", "x", "--scope", "root", *place]).exit_code == 2


@pytest.mark.service
def test_once_a_key_exists_nobody_comes_in_without_one(
    serve: Callable[..., TestClient], library: Library
) -> None:
    client = serve()
    assert client.get("/v1/collections").status_code == 200
    key = KeyRing(library.directory).create("me", ["read"])
    refused = client.get("/v1/collections")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get("/v1/collections", headers=bearer("recto_wrong")).status_code == 401
    assert client.get("/v1/collections", headers=bearer(key)).status_code == 200
    assert client.get("/v1/collections", headers={"x-api-key": key}).status_code == 200
    assert client.get("/healthz").status_code == 200


@pytest.mark.service
def test_a_read_key_changes_nothing(serve: Callable[..., TestClient], library: Library) -> None:
    client, headers = serve(), bearer(KeyRing(library.directory).create("me", ["read"]))
    files = [("files", ("a.pdf", pdf(("red", "x"))))]
    answer = client.post("/v1/collections/demo/documents", files=files, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "write" in answer.json()["detail"]
    assert client.get("/v1/jobs", headers=headers).json() == {"jobs": []}


@pytest.mark.service
def test_a_person_signs_in_with_a_cookie_that_no_script_reads(
    serve: Callable[..., TestClient], library: Library
) -> None:
    client, key = serve(), KeyRing(library.directory).create("me", ["read"])
    page = {"accept": "text/html"}
    turned = client.get("/collections", headers=page, follow_redirects=False)
    assert (turned.status_code, turned.headers["location"]) == (303, "/sign-in?to=/collections")
    assert client.post("/sign-in", data={"key": "no"}, headers=page).status_code == 401
    entered = client.post(
        "/sign-in", data={"key": key, "to": "//evil.example"}, headers=page, follow_redirects=False
    )
    assert entered.headers["location"] == "/"
    cookie = entered.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert client.get("/collections", headers=page).status_code == 200
    client.post("/sign-out", headers=page)
    assert client.get("/v1/collections").status_code == 401


@pytest.mark.service
def test_what_a_key_does_not_cover_is_as_if_it_did_not_exist(
    stocked: TestClient, serve: Callable[..., TestClient], shelf: Library
) -> None:
    limited = View(shelf, Caller("k", frozenset({"read", "write"}), frozenset({"a"})))
    there = {info.name: shelf.documents(info.name)[-1] for info in shelf.collections()}
    hidden = there["b"].id
    job = next(job for job in shelf.jobs() if job.collection == "b")
    for look in (
        lambda: limited.document(hidden),
        lambda: limited.pages(hidden),
        lambda: limited.page(f"{hidden}/0001"),
        lambda: limited.image(f"{hidden}/0001"),
        lambda: limited.text(f"{hidden}/0001"),
        lambda: limited.evidence(f"{hidden}/0001", "rose"),
        lambda: limited.original(hidden),
        lambda: limited.remove(hidden),
        lambda: limited.job(job.id),
        lambda: limited.cancel(job.id),
        lambda: limited.documents("b"),
        lambda: limited.search("rose", SearchOptions(collection="b")),
    ):
        with pytest.raises(NotFoundError):
            look()
    with pytest.raises(RectoError, match="does not cover"):
        limited.accept([], collection="b", names={}, metadata={})
    assert shelf.document(hidden).id == hidden


names = st.sampled_from((*COLLECTIONS, "nowhere"))
options = st.builds(
    SearchOptions,
    k=st.integers(1, 20),
    collection=st.none() | names,
    collections=st.none() | st.frozensets(names),
    document=st.none() | st.sampled_from(["of-a", "of-b.pdf", "of-c", "none"]),
    rerank=st.sampled_from(["auto", "off"]),
    filters=st.sampled_from([{}, {"format": "PDF 1.7"}, {"author": "x"}]),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(allowed=st.none() | st.frozensets(names), asked=options, text=st.sampled_from(["rose", "sea", "red"]))
def test_no_search_shows_a_page_of_a_collection_that_the_key_does_not_cover(
    shelf: Library, allowed: frozenset[str] | None, asked: SearchOptions, text: str
) -> None:
    view = View(shelf, Caller("k", frozenset({"read"}), allowed))
    try:
        found = {hit.collection for hit in view.search(text, asked).hits}
    except NotFoundError:
        return
    assert allowed is None or found <= allowed
    assert asked.collections is None or found <= asked.collections
    assert asked.collection is None or found <= {asked.collection}


@pytest.mark.service
@pytest.mark.parametrize("collections", [["demo"], ["private"], ["nowhere"]])
def test_no_endpoint_names_a_document_that_the_key_does_not_cover(
    tmp_path: Path, collections: list[str]
) -> None:
    with Library.open(tmp_path / "library", WITHOUT_MODELS) as library:
        documents = {}
        for name in ("demo", "private"):
            path = tmp_path / f"title-of-{name}.pdf"
            path.write_bytes(pdf(("red", f"words-of-{name}")))
            library.index([path], collection=name)
            documents[name] = library.documents(name)[0].id
        key = KeyRing(library.directory).create("k", ["read"], collections)
        with TestClient(create(library), base_url="http://localhost", headers=bearer(key)) as client:
            told = io.StringIO()
            for path in paths(documents):
                told.write(client.get(path, headers={"accept": "text/html"}).text)
            told.write(client.post("/v1/search", json={"query": "red"}).text)
    for name in documents:
        seen = name in collections
        assert (f"title-of-{name}" in told.getvalue()) is seen
        assert (f"words-of-{name}" in told.getvalue()) is seen


def paths(documents: dict[str, str]) -> Iterator[str]:
    yield from ("/", "/collections", "/jobs", "/search?q=red", "/reports", "/v1/collections", "/v1/jobs")
    yield from ("/v1/collections/demo/documents", "/v1/collections/private/documents")
    for document in documents.values():
        yield from (f"/v1/documents/{document}", f"/v1/documents/{document}/pages")
        yield from (f"/v1/pages/{document}/1/text", f"/pages/{document}/1", f"/documents/{document}")
