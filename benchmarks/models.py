"""Pages a second and milliseconds a pair of the field's architectures, beside the plain loops of their docs.

    .venv/bin/python -m benchmarks.models [--full] [--pages 64] [--depths 20 100] [--tokens 768]

Full-size architectures with random weights on a GPU (`--full`; nothing is downloaded), tiny ones on a CPU.
The plain loops are colpali-engine's (batches of 4 in the order given) and CrossEncoder.predict with its
defaults. On a shared CPU the ratios of processor seconds are what to read.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.cross_encoder.modules import LogitScore
from torch.utils.flop_counter import FlopCounterMode

from backbone.strict import quiet
from benchmarks.models_shapes import FULL, TINY, build
from domain.model import ModelSettings
from evaluation import provenance
from rerank.adapters import st as rerankers
from rerank.reranker import Candidate
from retrieve.adapters import st as encoders
from tests import checkpoints

_WORDS = {"true_token": "yes", "false_token": "no"}
RESULTS = Path(__file__).parent / "results" / "models.json"


@dataclass(frozen=True)
class Spent:
    """Median wall and processor seconds of a few rounds."""

    wall_s: float
    processor_s: float


def main() -> None:
    arguments = _arguments()
    if arguments.plain:
        print(json.dumps(_colpali_loop(arguments)))
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shapes = FULL if arguments.full else TINY
    known = arguments.out.exists() and arguments.only
    figures = json.loads(arguments.out.read_text(encoding="utf-8"))["figures"] if known else {}
    shapes = {name: shape for name, shape in shapes.items() if arguments.only in ("", name)}
    with tempfile.TemporaryDirectory() as scratch:
        for shape in shapes.values():
            directory = build(shape, Path(scratch) / shape.name, device=device, tokens=arguments.tokens)
            measure = _encoder if shape.family == "qwen2_vl" else _reranker
            figures[shape.name] = measure(directory, arguments, device)
            shutil.rmtree(directory)  # the largest takes 17 GB
            print(shape.name, json.dumps(figures[shape.name], indent=2))
    report = {
        "figures": figures,
        "rows": _rows(figures),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "full_size": arguments.full,
        "remark": "" if arguments.full and device == "cuda" else "no GPU: tiny shapes; read the ratios only",
        "visual_tokens": arguments.tokens,
        "rounds": arguments.rounds,
        "threads": torch.get_num_threads(),
        "commit": provenance.commit(),
        "hardware": dict(provenance.hardware()),
        "versions": {
            n: version(n) for n in ("torch", "transformers", "sentence-transformers", "colpali-engine")
        },
        "measured": provenance.now(),
    }
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def _rows(figures: dict[str, Any]) -> list[dict[str, Any]]:
    """The ratios as a table: one line a shape and a kind of batch."""
    kept = ("times_plain_wall", "times_plain_processor", "hot_gain_processor")
    return [
        {"shape": shape, "batch": kind.replace("_", " "), **{name: part.get(name) for name in kept}}
        for shape, found in figures.items()
        for kind, part in found.items()
        if isinstance(part, dict)
    ]


def _encoder(directory: Path, arguments: argparse.Namespace, device: str) -> dict[str, Any]:
    """Pages of one size, and of mixed sizes, where padding and order begin to matter."""
    encoder = encoders.load(str(directory / "native"), settings=ModelSettings(device=device))
    found: dict[str, Any] = {}
    for kind in ("even", "mixed"):
        pages = _pages(arguments.pages, mixed=kind == "mixed")
        ours = _timed(lambda pages=pages: encoder.pages(pages), arguments.rounds)
        plain = Spent(**_child(directory / "colpali", kind, arguments))
        found[kind] = {
            "pages": len(pages),
            "recto_pages_per_s": len(pages) / ours.wall_s,
            "plain_pages_per_s": len(pages) / plain.wall_s,
            **_compared(ours, plain),
        }
    pages = _pages(arguments.pages, mixed=False)
    with FlopCounterMode(display=False) as counter:
        encoder.pages(pages)
    return {**found, **_utilised(counter.get_total_flops(), found["even"], len(pages), device)}


def _reranker(directory: Path, arguments: argparse.Namespace, device: str) -> dict[str, Any]:
    """A first query over cold pages, and a second one over pages whose tower outputs are kept."""
    settings = ModelSettings(
        device=device, template=checkpoints.RERANKER_TEMPLATE, tower_cache_mib=4096, **_WORDS
    )
    reranker = rerankers.load(str(directory), settings=settings)
    with quiet():
        dtype = torch.bfloat16 if device == "cuda" else torch.float32
        transformer = Transformer(
            str(directory), transformer_task="any-to-any", model_kwargs={"dtype": dtype}
        )
        yes, no = (transformer.tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
        plain_model = CrossEncoder(modules=[transformer, LogitScore(yes, no)], device=device)
    found: dict[str, Any] = {}
    for depth in arguments.depths:
        pages = _pages(depth, mixed=False)
        candidates = [_candidate(n, page) for n, page in enumerate(pages, start=1)]
        pairs = [({"text": "net sales of 2023"}, {"image": page}) for page in pages]
        cold = _timed(lambda c=candidates: _forgotten(reranker).scores("net sales", c), arguments.rounds)
        hot = _timed(lambda c=candidates: reranker.scores("wages of 2023", c), arguments.rounds)
        plain = _timed(lambda p=pairs: plain_model.predict(p, show_progress_bar=False), arguments.rounds)
        found[f"depth_{depth}"] = {
            "recto_ms_per_pair": 1000 * cold.wall_s / depth,
            "recto_hot_ms_per_pair": 1000 * hot.wall_s / depth,
            "plain_ms_per_pair": 1000 * plain.wall_s / depth,
            "hot_gain_processor": cold.processor_s / hot.processor_s,
            **_compared(cold, plain),
        }
    with FlopCounterMode(display=False) as counter:
        _forgotten(reranker).scores("net sales", candidates)
    last = found[f"depth_{arguments.depths[-1]}"]
    return {**found, **_utilised(counter.get_total_flops(), last, len(candidates), device)}


def _forgotten(reranker: rerankers.StReranker) -> rerankers.StReranker:
    if reranker.tower is not None:
        reranker.tower.clear()
    return reranker


def _compared(ours: Spent, plain: Spent) -> dict[str, Any]:
    return {
        "times_plain_wall": plain.wall_s / ours.wall_s,
        "times_plain_processor": plain.processor_s / ours.processor_s,
        "recto": asdict(ours),
        "plain": asdict(plain),
    }


def _utilised(flops: int, figures: dict[str, Any], count: int, device: str) -> dict[str, Any]:
    """Model FLOPs utilisation against this machine's own rate for a large matrix product."""
    side = 8192 if device == "cuda" else 1024
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    a = torch.randn(side, side, device=device, dtype=dtype)
    best = _timed(lambda: a @ a, 5).wall_s
    rate = 2 * side**3 / best
    return {
        "gflop_each": flops / count / 1e9,
        "matmul_tflops": rate / 1e12,
        "utilisation": flops / figures["recto"]["wall_s"] / rate,
    }


def _timed(function: Callable[[], object], rounds: int) -> Spent:
    function()
    wall, processor = [], []
    for _ in range(rounds):
        _settle()
        start, used = time.perf_counter(), time.process_time()
        function()
        _settle()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return Spent(statistics.median(wall), statistics.median(processor))


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _pages(count: int, *, mixed: bool) -> list[Image.Image]:
    """A4 pages at 110 dpi, every second one a quarter of that where sizes are mixed."""
    return [
        checkpoints.page(f"page {n}", width=300, height=430)
        if mixed and n % 2
        else checkpoints.page(f"page {n}", width=910, height=1287)
        for n in range(count)
    ]


def _candidate(number: int, page: Image.Image) -> Candidate:
    return Candidate(f"d/{number:04d}", lambda: page, lambda: "", lambda: None)


def _child(directory: Path, kind: str, arguments: argparse.Namespace) -> dict[str, float]:
    """colpali-engine's loop in a process of its own: importing it changes how transformers loads models."""
    command = [sys.executable, "-m", "benchmarks.models", "--plain", str(directory), "--kind", kind]
    command += ["--pages", str(arguments.pages), "--rounds", str(arguments.rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def _colpali_loop(arguments: argparse.Namespace) -> dict[str, float]:
    from colpali_engine.models import ColQwen2, ColQwen2Processor  # noqa: PLC0415 - see _child

    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = ColQwen2.from_pretrained(arguments.plain, dtype=dtype).to(device).eval()
    processor = ColQwen2Processor.from_pretrained(arguments.plain)
    pages = _pages(arguments.pages, mixed=arguments.kind == "mixed")

    def loop() -> list[torch.Tensor]:
        loader = torch.utils.data.DataLoader(pages, batch_size=4, collate_fn=processor.process_images)
        made: list[torch.Tensor] = []
        for batch in loader:
            with torch.no_grad():
                found = model(**{key: value.to(device) for key, value in batch.items()})
            made.extend(torch.unbind(found.to("cpu")))
        return made

    return asdict(_timed(loop, arguments.rounds))


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="full-size architectures; needs a GPU")
    parser.add_argument("--pages", type=int, default=64)
    parser.add_argument("--depths", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--tokens", type=int, default=768, help="visual tokens a page")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="measure this shape, keep the other figures")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--plain", default="", help=argparse.SUPPRESS)
    parser.add_argument("--kind", default="even", help=argparse.SUPPRESS)
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
