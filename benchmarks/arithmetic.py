"""The built-in models in each arithmetic that this processor has, on the documents that ship, in one run.

    .venv/bin/python -m benchmarks.arithmetic

Milliseconds of one core a page by sight, a chunk of text and a pair, the best of some rounds in which every arithmetic
takes its turn; and how like its results are to those in float32. Writes benchmarks/results/arithmetic.json.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pymupdf
import torch
from numpy.typing import NDArray
from PIL import Image

import models
from backbone.integers import bytes_pay, linear_in_bytes
from backbone.transformer import halves_pay
from evaluation import provenance
from rerank.adapters.builtin import read_reader
from rerank.builtin.files import load_network as load_reranker
from rerank.builtin.pairs import beside
from retrieve.builtin.files import read_parts
from retrieve.builtin.integers import ByteTower
from retrieve.builtin.reading import see
from retrieve.dense import PageText, load
from retrieve.text_tower import batch_of
from retrieve.text_tower import load_network as load_tower

OUT = Path(__file__).parent / "results" / "arithmetic.json"
DOCUMENTS = Path(__file__).parent.parent / "docs" / "demo"
SHIPPED = Path(models.__file__).parent
QUESTION = "How much did the annual report say that maintenance of the turbines cost?"
ROUNDS = 5
PAGES = 16
PLAIN = "float32"
TELLING = ("avx2", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")

Rows = NDArray[np.float32]
Ways = Mapping[str, Callable[[], Rows]]


def main() -> None:
    """Measure and write."""
    torch.set_num_threads(1)
    pictures, texts = _pages()
    rows = [
        *_compared("a page by sight", _sight(pictures), len(pictures)),
        *_compared("a chunk of text", *_meaning(texts)),
        *_compared("a pair reranked", _pairs(texts), len(texts)),
    ]
    made = {
        "rows": rows,
        "pages": len(pictures),
        "rounds": ROUNDS,
        "load_average": round(os.getloadavg()[0], 1),
        "commit": provenance.commit(),
        "created": provenance.now(),
        "hardware": dict(provenance.hardware()),
        "processor": {name: able for name, able in torch.cpu.get_capabilities().items() if name in TELLING},
    }
    OUT.write_text(json.dumps(made, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


def _pages() -> tuple[list[Image.Image], list[str]]:
    pictures, texts = [], []
    for path in sorted(DOCUMENTS.glob("*.pdf")):
        with pymupdf.open(path) as document:
            for page in document:
                if len(text := page.get_text("text")) > 400 and len(texts) < PAGES:
                    pixels = page.get_pixmap(dpi=150, alpha=False)
                    pictures.append(Image.frombytes("RGB", (pixels.width, pixels.height), pixels.samples))
                    texts.append(text)
    return pictures, texts


def _compared(what: str, ways: Ways, pieces: int) -> list[dict[str, object]]:
    """A line for each arithmetic; `likeness` is of its results to those in float32, row by row the mean cosine."""
    best = dict.fromkeys(ways, float("inf"))
    found: dict[str, Rows] = {}
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for name, way in ways.items():
                start = time.process_time()
                found[name] = way()
                best[name] = min(best[name], time.process_time() - start)
    return [
        {
            "what": what,
            "arithmetic": name,
            "ms": round(1000 * best[name] / pieces, 1),
            "times_float32": round(best[PLAIN] / best[name], 2),
            "likeness": round(_likeness(found[name], found[PLAIN]), 4),
        }
        for name in ways
    ]


def _likeness(rows: Rows, plain: Rows) -> float:
    """The mean cosine of each row in floats to the row that is most like it; of single numbers, their correlation."""
    if rows.shape[1] == 1:
        return float(np.corrcoef(rows[:, 0], plain[:, 0])[0, 1])
    return float((plain @ rows.T).max(1).mean())


def _sight(pictures: list[Image.Image]) -> Ways:
    parts = read_parts(SHIPPED / "encoder")

    def read(tower: object, *, fast: bool) -> Rows:
        seen = [
            see(tower, picture, threshold=parts.threshold, fast=fast, at_once=False) for picture in pictures
        ]
        return np.concatenate([one.vectors for one in seen])

    ways = {PLAIN: partial(read, parts.tower, fast=False)}
    if halves_pay("cpu"):
        ways["bfloat16"] = partial(read, parts.tower, fast=True)
    if bytes_pay():
        ways["bytes"] = partial(read, ByteTower(parts.tower, parts.ranges), fast=False)
    return ways


def _meaning(texts: list[str]) -> tuple[Ways, int]:
    cutter = load(SHIPPED / "text")
    chunks = [cutter.chunks(PageText("", text)) for text in texts]

    def read(network: torch.nn.Module) -> Rows:
        return np.concatenate([network(*batch_of(own)).float().numpy() for own in chunks])

    return _networks(lambda: load_tower(SHIPPED / "text")[0], read), sum(map(len, chunks))


def _pairs(texts: list[str]) -> Ways:
    reader = read_reader(SHIPPED / "encoder", SHIPPED / "text")
    asked = reader.question(QUESTION, most=24)
    pairs = [beside([asked], [reader.written(text, about=())], dim=reader.speller.dim) for text in texts]

    def read(network: torch.nn.Module) -> Rows:
        return np.array([network(pair).tolist() for pair in pairs], np.float32)

    return _networks(lambda: load_reranker(SHIPPED / "reranker", reader.pieces.table)[0], read)


def _networks(make: Callable[[], torch.nn.Module], read: Callable[[torch.nn.Module], Rows]) -> Ways:
    ways = {PLAIN: partial(read, make())}
    if halves_pay("cpu"):
        ways["bfloat16"] = torch.autocast("cpu", torch.bfloat16)(partial(read, make()))
    if bytes_pay() and linear_in_bytes(network := make()):
        ways["bytes"] = partial(read, network)
    return ways


if __name__ == "__main__":
    main()
