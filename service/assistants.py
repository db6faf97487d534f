"""The endpoint for assistants: the library as tools of the Model Context Protocol, at `/mcp`."""

import base64
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import CallToolResult, ImageContent, TextContent, ToolAnnotations
from pydantic import Field
from starlette.applications import Starlette
from starlette.requests import Request

from domain.errors import RectoError
from library.options import SearchOptions
from service.access import Caller, View
from service.desk import Desk
from service.schemas import CollectionList, CollectionOut, SearchOut

_INSTRUCTIONS = (
    "This is a library of document pages, found by looking at pages as pictures. List the collections, "
    "search pages with a plain question, then fetch the picture of a page by its page_id and read it before "
    "answering. Cite document and page."
)
_READS = ToolAnnotations(read_only_hint=True, open_world_hint=False)
_MAX_K = 50


class Assistants:
    """The MCP server of one application; it sees what the request's key covers and changes nothing."""

    def __init__(self) -> None:
        """Describe the tools; `open` gives them a desk."""
        self._desk: Desk | None = None
        self._server: MCPServer[Any] = MCPServer(
            "recto", title="recto", instructions=_INSTRUCTIONS, log_level="WARNING"
        )
        self._server.add_tool(self.search_pages, annotations=_READS)
        self._server.add_tool(self.fetch_page_image, annotations=_READS)
        self._server.add_tool(self.list_collections, annotations=_READS)
        off = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # the gate checks hosts
        self.app: Starlette = self._server.streamable_http_app(
            streamable_http_path="/", json_response=True, stateless_http=True, transport_security=off
        )

    @asynccontextmanager
    async def open(self, desk: Desk) -> AsyncIterator[None]:
        """Serve this desk for as long as the context lasts."""
        self._desk = desk
        running: AbstractAsyncContextManager[None] = self._server.session_manager.run()
        async with running:
            yield
        self._desk = None

    async def list_collections(self, ctx: Context[Any, Request]) -> CollectionList:
        """List the collections of documents that can be searched, and how many pages each holds."""
        _, view = self._seen(ctx)
        return CollectionList(collections=[CollectionOut.model_validate(i) for i in view.collections()])

    async def search_pages(
        self,
        query: Annotated[
            str, Field(min_length=1, max_length=4000, description="The question, in plain words")
        ],
        ctx: Context[Any, Request],
        collection: Annotated[str | None, Field(description="Only this collection")] = None,
        document: Annotated[str | None, Field(description="Only the document of this name or id")] = None,
        k: Annotated[int, Field(ge=1, le=_MAX_K, description="How many pages")] = 5,
    ) -> SearchOut:
        """Find the pages that answer a question; gives page ids, documents, page numbers and snippets."""
        desk, view = self._seen(ctx)
        try:
            options = SearchOptions(k=k, collection=collection, document=document)
            result = await desk.engine.run(lambda: view.search(query, options))
        except RectoError as error:
            raise ToolError(str(error)) from error
        return SearchOut.of(result)

    async def fetch_page_image(
        self,
        page_id: Annotated[str, Field(description="A page_id of search_pages, like a1b2/0007")],
        ctx: Context[Any, Request],
        width: Annotated[int, Field(ge=64, le=2000, description="Pixels; 1000 is well readable")] = 1000,
    ) -> CallToolResult:
        """Fetch the picture of a page, to read it with your own eyes."""
        desk, view = self._seen(ctx)
        try:
            picture = await desk.engine.run(lambda: view.image(page_id, width=width))
            info = view.page(page_id)
        except RectoError as error:
            raise ToolError(str(error)) from error
        data = base64.b64encode(picture.data).decode()
        return CallToolResult(
            content=[
                ImageContent(type="image", data=data, mime_type=picture.media_type),
                TextContent(type="text", text=f"{info.document}, page {info.number}"),
            ]
        )

    def _seen(self, ctx: Context[Any, Request]) -> tuple[Desk, View]:
        request = ctx.request_context.request
        caller = request.scope.get("state", {}).get("caller") if request is not None else None
        if self._desk is None or not isinstance(caller, Caller):
            raise ToolError("this request carries no key")
        return self._desk, self._desk.view(caller)
