"""What `recto tune` found: as JSON, as Markdown, and as plots."""

from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from pydantic import TypeAdapter

from evaluation.markdown import table, with_interval
from evaluation.plots import svg
from evaluation.report import write_text
from evaluation.statistics import Difference
from evaluation.tune import Arithmetic, Tuning

SHOWN: Final = ("recall@100", "nDCG@5", "nDCG@10", "MRR")
_ADAPTER: Final = TypeAdapter(Tuning)


def as_json(tuning: Tuning) -> str:
    """Everything, floats in full."""
    return _ADAPTER.dump_json(tuning, indent=1).decode() + "\n"


def from_json(text: str | bytes) -> Tuning:
    """What `as_json` wrote."""
    return _ADAPTER.validate_json(text)


def markdown(tuning: Tuning) -> str:
    """The recommendation first, then what it rests on."""
    parts = [
        f"**{tuning.recommended.name}**: {tuning.reason}.",
        _unseen(tuning),
        configurations(tuning),
        *([_steps(tuning)] if tuning.steps else []),
        *([_skips(tuning)] if tuning.skips else []),
        *(arithmetic(found) for found in tuning.arithmetic),
    ]
    if tuning.unread:
        parts.append(
            f"{tuning.unread} pages in swept depths had not been read by the reranker while recording; "
            "they counted as its worst."
        )
    return "\n\n".join(parts)


def save(tuning: Tuning, directory: Path) -> None:
    """Write `tune.json`, `tune.md` and the plots."""
    write_text(directory / "tune.json", as_json(tuning))
    write_text(directory / "tune.md", markdown(tuning) + "\n")
    for name, drawn in plots(tuning).items():
        write_text(directory / f"{name}.svg", drawn)


def configurations(tuning: Tuning) -> str:
    """Every shown configuration; `*` marks the Pareto front of nDCG@10 and milliseconds."""
    rows = [
        [
            f"{row.name}{' *' if row.on_front else ''}",
            *(f"{row.measures[name]:.3f}" for name in SHOWN),
            f"{row.p50_ms:.0f}",
            f"{row.p95_ms:.0f}",
        ]
        for row in tuning.table
    ]
    return table([f"{tuning.questions} questions (* Pareto front)", *SHOWN, "p50 ms", "p95 ms"], rows)


def arithmetic(found: Arithmetic) -> str:
    """The cost arithmetic in sentences."""
    said = (
        f"A pair takes {found.ms_per_pair:.2f} ms and the first stage {found.first_ms:.0f} ms. Reading all "
        f"{found.pages:,} pages for one question would take {found.every_page_ms / 1000:.1f} s."
    )
    if found.budget_ms is not None:
        said += (
            f" Within {found.budget_ms:g} ms, floor(({found.budget_ms:g} - {found.first_ms:.0f}) / "
            f"{found.ms_per_pair:.2f}) = {found.affordable} pages can be read."
        )
    return said


def plots(tuning: Tuning) -> dict[str, str]:
    """Recall against depth, and nDCG@10 against milliseconds with the Pareto front, as SVG."""
    return {
        "recall": svg(lambda axes: _recall(axes, tuning), 3.2),
        "pareto": svg(lambda axes: _pareto(axes, tuning), 3.2),
    }


def _unseen(tuning: Tuning) -> str:
    rows = [[name, with_interval(found)] for name, found in tuning.unseen.items()]
    judged = table(["on documents that the choice was not made on", "nDCG@10"], rows)
    steps = [[f"{s.before} → {s.after}", *_changed(s.change), f"{s.ms:+.0f}"] for s in tuning.lifts]
    return judged + "\n\n" + table(["step", "change of nDCG@10", "p", "helped / hurt", "ms"], steps)


def _steps(tuning: Tuning) -> str:
    rows = [[f"{s.before} → {s.after}", *_changed(s.change), f"{s.ms:+.1f}"] for s in tuning.steps]
    return table(["one step deeper", "change of nDCG@10", "p", "helped / hurt", "ms"], rows)


def _skips(tuning: Tuning) -> str:
    rows = [[f"{s.margin:g}", f"{s.skipped:.0%}", *_changed(s.change)] for s in tuning.skips]
    return table(["skip above margin", "skipped", "change of nDCG@10", "p", "helped / hurt"], rows)


def _changed(change: Difference) -> tuple[str, str, str]:
    found, between = change.mean, change.mean.interval
    low_high = f" [{between.low:+.3f}, {between.high:+.3f}]" if between else ""
    return f"{found.mean:+.3f}{low_high}", f"{change.p_value:.4f}", f"{change.helped} / {change.hurt}"


def _recall(axes: Axes, tuning: Tuning) -> None:
    for name, curve in tuning.recall.items():
        axes.plot(range(1, len(curve) + 1), curve, label=name)
    axes.set(xscale="log", xlabel="depth", ylabel="recall", ylim=(0, 1.02))
    axes.legend(frameon=False)


def _pareto(axes: Axes, tuning: Tuning) -> None:
    best = [row for row in tuning.table if row.on_front]
    rest = [row for row in tuning.table if not row.on_front]
    axes.plot([r.p50_ms for r in rest], [r.measures["nDCG@10"] for r in rest], "o", label="other")
    axes.plot([r.p50_ms for r in best], [r.measures["nDCG@10"] for r in best], "o-", label="Pareto front")
    axes.set(xlabel="p50 milliseconds a question", ylabel="nDCG@10")
    axes.legend(frameon=False)
