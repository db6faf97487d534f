"""What is promised before indexing is what indexing takes."""

from pathlib import Path

import numpy as np
import pytest

from domain.fingerprint import Fingerprint
from domain.page import page_id
from retrieve.encoder import Vectors
from retrieve.engine import Engine, EngineOptions
from retrieve.forecast import forecast


@pytest.mark.parametrize("exact_rows", [10_000, 500])
def test_the_forecast_is_near_what_the_engine_takes(tmp_path: Path, exact_rows: int) -> None:
    pages, vectors, dim = 100, 40, 128
    options = EngineOptions(pooled=16, exact_rows=exact_rows)
    engine = Engine.open(tmp_path, fingerprint=Fingerprint("t"), dim=dim, options=options, writable=True)
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(pages, vectors, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=2, keepdims=True)
    boxes = np.zeros((vectors, 4), dtype=np.float32)
    engine.add([page_id("d", at + 1) for at in range(pages)], [Vectors(own, boxes) for own in rows])
    promised, taken = forecast(pages, vectors_a_page=vectors, dim=dim, options=options), engine.size()
    assert promised.vectors == taken.vectors == pages * vectors
    # a flat first stage keeps four bytes a number where cells keep half of one
    assert promised.disk_bytes == pytest.approx(taken.disk_bytes, rel=0.05 if exact_rows > 500 * 8 else 1.5)
