"""The figures of docs/reranking.md come from the report of its benchmark."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(
    not (ROOT / "benchmarks" / "results" / "rerank.json").exists(),
    reason="the benchmark has not been run yet",
)
def test_the_document_agrees_with_the_report() -> None:
    command = [sys.executable, "-m", "benchmarks.rerank", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
