"""Plots of a report as SVG texts; nothing is shown on a screen."""

import io
from collections.abc import Callable
from typing import Final

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from evaluation.report import Report

_BLUE: Final = "#1f6feb"
_ORANGE: Final = "#c4501b"
_GREY: Final = "#6b7280"
_MOST_SLICES = 24


def plots(report: Report) -> dict[str, str]:
    """Draw what the report can show: title to SVG text, the same bytes for the same report."""
    drawn: dict[str, Callable[[Axes], None]] = {
        "Recall against depth": lambda axes: _recall(axes, report),
        "nDCG@10 against milliseconds a query": lambda axes: _cost(axes, report),
    }
    if len(report.stages) > 1:
        drawn["What the last stage changed, query by query"] = lambda axes: _lift(axes, report)
    shown = [s for s in report.slices if s.field != "doc"][:_MOST_SLICES]
    if shown:
        drawn["nDCG@10 by slice"] = lambda axes: _slices(axes, report)
    heights = {"nDCG@10 by slice": 1.0 + 0.24 * len(shown)}
    return {title: svg(draw, heights.get(title, 3.2)) for title, draw in drawn.items()}


def svg(draw: Callable[[Axes], None], height_in: float) -> str:
    """What `draw` puts on one pair of axes, as SVG text; the same bytes for the same drawing."""
    with rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": "recto", "font.size": 9, "text.parse_math": False}
    ):
        figure = Figure(figsize=(6.4, height_in), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        draw(axes)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _plain_log(axes: Axes) -> None:
    """A logarithmic axis with plain numbers."""
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _recall(axes: Axes, report: Report) -> None:
    for stage in report.stages:
        depths = range(1, len(stage.recall_by_depth) + 1)
        axes.plot(depths, stage.recall_by_depth, label=stage.name)
    axes.set(xlabel="depth", ylabel="recall", ylim=(0, 1.02))
    _plain_log(axes)
    axes.legend(frameon=False)


def _cost(axes: Axes, report: Report) -> None:
    for stage in report.stages:
        if stage.latency_ms is None:
            continue
        found = stage.figures["nDCG@10"]
        low, high = (found.interval.low, found.interval.high) if found.interval else (found.mean, found.mean)
        spread = [[max(found.mean - low, 0)], [max(high - found.mean, 0)]]
        axes.errorbar([stage.latency_ms.p50], [found.mean], yerr=spread, fmt="o", capsize=3, label=stage.name)
    axes.set(xlabel="p50 milliseconds a query", ylabel="nDCG@10", ylim=(0, 1.02))
    _plain_log(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)


def _lift(axes: Axes, report: Report) -> None:
    before, after = report.stages[-2].name, report.stages[-1].name
    change = np.array(report.scores[after]["nDCG@10"]) - np.array(report.scores[before]["nDCG@10"])
    ordered = np.sort(change)[::-1]
    colours = [_BLUE if c > 0 else _ORANGE if c < 0 else _GREY for c in ordered]
    axes.bar(np.arange(len(ordered)), ordered, width=1.0, color=colours)
    axes.axhline(0, color=_GREY, linewidth=0.8)
    axes.set(
        xlabel=f"questions, best first ({before} to {after})", ylabel="change of nDCG@10", ylim=(-1.02, 1.02)
    )


def _slices(axes: Axes, report: Report) -> None:
    shown = [s for s in report.slices if s.field != "doc"][:_MOST_SLICES][::-1]
    whole = report.pipeline.name
    places = np.arange(len(shown))
    found = [part.figures[whole]["nDCG@10"] for part in shown]
    axes.barh(places, [f.mean for f in found], color=_BLUE, height=0.6)
    for place, figure in zip(places, found, strict=True):
        if figure.interval:
            axes.plot([figure.interval.low, figure.interval.high], [place, place], color="black", linewidth=1)
    axes.set_yticks(places, [_label(p.field, p.value, p.queries) for p in shown])
    axes.set(xlim=(0, 1.02), xlabel="nDCG@10 of the pipeline, 95% interval")


def _label(field: str, value: str, queries: int) -> str:
    short = value if len(value) <= 30 else value[:29] + "…"
    return f"{field}: {short} ({queries})"
