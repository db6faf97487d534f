"""Options that several verbs share."""

from pathlib import Path
from typing import Annotated

import typer

LibraryOption = Annotated[
    Path | None,
    typer.Option("--library", help="Directory of the library.", envvar="RECTO_LIBRARY", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON to stdout, for machines.")]
CollectionOption = Annotated[str, typer.Option("--collection", help="Collection to put documents in.")]
EncoderOption = Annotated[
    str | None,
    typer.Option("--encoder", help="Visual encoder, a name of `recto models`.", show_default=False),
]
RerankerOption = Annotated[
    str | None,
    typer.Option("--reranker", help="Reranker, a name of `recto models`, or none.", show_default=False),
]
ArmsOption = Annotated[
    str | None,
    typer.Option("--arms", help="Arms of the first stage: visual,lexical,text.", show_default=False),
]
RerankOption = Annotated[str, typer.Option("--rerank", help="auto, off, or how many pages to reorder.")]
BudgetOption = Annotated[
    float | None,
    typer.Option("--budget-ms", help="Milliseconds for the whole search.", show_default=False),
]
