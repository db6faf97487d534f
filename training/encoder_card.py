"""Writes the encoder's model card from its report; no figure in it is typed by hand."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

_TEXT = """# The built-in visual encoder

Reads a page's pixels into one vector a word; spells a query's words into the same space. Scored by MaxSim.
Made by this repository from random weights; see `docs/training.md` for how, and what did not work.

| | |
|---|---|
| page tower | {convolutions} convolutions on a gray page of 1.6 Mpx, and again at 0.42 and 0.17 of its size |
| query tower | hashed letter n-grams of length 1 to 4 and the whole word, {buckets} vectors in int8 |
| vectors | {dim} numbers; up to {rows} words a page, on average {vectors} on the pages measured |
| size | {megabytes:.1f} MB; sha256 of `model.safetensors` `{sha256}` |
| loading | {loading_s} s; a query {query_ms} ms; a page {page_s} s of one processor core, rendering included |
| licence | AGPL-3.0-or-later, as the repository |

## Data

Training text of CC BY 4.0, CC BY-SA 3.0/4.0 and MIT sources (SQuAD dev, Natural Questions and FinQA through UDA, QED,
MedQuAD, WikiTableQuestions, FeTaQA, TAT-QA, OTT-QA and HybridQA, TabFact, Wikipedia introductions), set in
the fonts of Debian packages; 24 public company filings and 18 works of the US government as real pages. No question or
page of the evaluation sets was used in training. Question weights are counted on the pairs of the same sources.

## Recipe

`recto train encoder training/configs/encoder.toml`, seed {seed}: {steps} steps of two processes with two pictures of
640 x 384 each, about {hours:.1f} hours on two shared cores of an Intel Xeon with AMX and no GPU. Rates, sizes of
print and the temperature were changed by hand in the first half of the run, as `docs/training.md` tells; the
file holds the final values, so a new run is not the same run, but it is the same recipe.

## Figures

The visual arm alone, pixels only, exact MaxSim, 95% bootstrap intervals over questions.
{note}
{tables}
## What it cannot do

It matches words and their relatives by letters, not by meaning: `car` does not find `automobile`; fuse it with the text
arm. It reads Latin letters and digits, upright; rotated labels, handwriting, other scripts and photographs give
nothing of use. Print below about 8 pixels at 1.6 Mpx is guessed. Fonts far from print are read badly.
"""


def card(
    report: Mapping[str, Any], config: Mapping[str, Any], run: Mapping[str, Any], *, note: str = ""
) -> str:
    """The card's text.

    Args:
        report: as `report_encoder` gives it.
        config: the model's `config.json`.
        run: `seed`, `steps` and `hours` of the training run.
        note: a sentence on what was measured, where it needs one.
    """
    shape, first = config["shape"], next(iter(report["sets"].values()))
    return _TEXT.format(
        convolutions=7 + len(shape["reaches"]),
        buckets=f"{shape['buckets']:,}",
        dim=shape["dim"] + 1,
        rows=config["weighing"]["rows"],
        vectors=first["vectors_a_page"],
        megabytes=report["bytes"] / 1e6,
        sha256=report["sha256"],
        loading_s=report["loading_s"],
        query_ms=first["query_ms"],
        page_s=first["cpu_seconds_a_page_with_rendering"],
        note=note,
        tables="\n".join(_table(name, found) for name, found in report["sets"].items()),
        **run,
    )


def _table(name: str, found: Mapping[str, Any]) -> str:
    names = list(next(iter(found["figures"].values())))
    lines = [
        f"\n{name}: {found['questions']} questions, {found['pages']} pages\n",
        f"| | {' | '.join(names)} |",
        "|---" * (len(names) + 1) + "|",
    ]
    for group, values in found["figures"].items():
        lines.append(f"| {group} | {' | '.join(_figure(values[key]) for key in names)} |")
    return "\n".join(lines) + "\n"


def _figure(value: Mapping[str, float]) -> str:
    if "low" not in value:
        return f"{value['mean']:.3f}"
    return f"{value['mean']:.3f} ({value['low']:.3f} to {value['high']:.3f})"


def write_card(directory: Path, text: str) -> None:
    """Put the card beside the weights."""
    (directory / "README.md").write_text(text, encoding="utf-8")
