"""The endpoint for assistants, through the protocol's own client over a real connection."""

import asyncio
import base64
import io
from collections.abc import Iterator

import httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from PIL import Image

from library.library import Library
from service.keys import KeyRing
from tests.service.samples import WITHOUT_MODELS, pdf, running

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """An address and a key that covers one of two collections."""
    folder = tmp_path_factory.mktemp("mcp")
    with Library.open(folder / "library", WITHOUT_MODELS) as library:
        for name in ("demo", "private"):
            path = folder / f"{name}-paper.pdf"
            path.write_bytes(pdf(("red", f"rose {name}"), ("blue", f"sea {name}")))
            library.index([path], collection=name)
        key = KeyRing(library.directory).create("assistant", ["read"], ["demo"])
        with running(library) as url:
            yield url, key


def test_an_assistant_lists_searches_and_reads_what_its_key_covers(place: tuple[str, str]) -> None:
    url, key = place

    async def talk() -> None:
        headers = {"Authorization": f"Bearer {key}"}
        http = pytest.importorskip("httpx2").AsyncClient(headers=headers, timeout=500)
        async with http, Client(streamable_http_client(f"{url}/mcp/", http_client=http)) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert tools == {"search_pages", "fetch_page_image", "list_collections"}
            listed = await client.call_tool("list_collections", {})
            assert listed.structured_content is not None
            assert [c["name"] for c in listed.structured_content["collections"]] == ["demo"]
            found = await client.call_tool("search_pages", {"query": "blue", "k": 3})
            assert found.structured_content is not None
            hits = found.structured_content["hits"]
            assert hits[0]["document"] == "demo-paper"
            assert {hit["collection"] for hit in hits} == {"demo"}
            picture = await client.call_tool("fetch_page_image", {"page_id": hits[0]["page_id"], "width": 64})
            image = Image.open(io.BytesIO(base64.b64decode(picture.content[0].data)))  # type: ignore[union-attr]
            assert image.width == 64
            wrong = await client.call_tool("fetch_page_image", {"page_id": "none/0001"})
            assert wrong.is_error

    asyncio.run(talk())


def test_no_assistant_comes_in_without_a_key(place: tuple[str, str]) -> None:
    url, _ = place
    answer = httpx.post(f"{url}/mcp/", json={"jsonrpc": "2.0", "id": 1, "method": "tools/list"})
    assert answer.status_code == 401
