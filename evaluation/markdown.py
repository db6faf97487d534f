"""Reports as Markdown: the same tables stand in `report.md`, in the README and in the documentation."""

from collections.abc import Sequence

from evaluation.compare import Comparison
from evaluation.report import Report
from evaluation.statistics import Figure

SHOWN = ("nDCG@5", "nDCG@10", "MRR", "MAP", "recall@1", "recall@5", "recall@10", "recall@20", "recall@100")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others figures."""
    line = "| " + " | ".join(head) + " |"
    rule = "|---|" + "---:|" * (len(head) - 1)
    return "\n".join([line, rule, *("| " + " | ".join(_cell(c) for c in row) + " |" for row in rows)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def with_interval(figure: Figure) -> str:
    """`.612 [.551, .670]`, or the mean alone where there is no interval."""
    if figure.interval is None:
        return f"{figure.mean:.3f}"
    return f"{figure.mean:.3f} [{figure.interval.low:.3f}, {figure.interval.high:.3f}]"


def stages(report: Report) -> str:
    """Every stage and every measure, with the time of a query."""
    rows = []
    for stage in report.stages:
        times = stage.latency_ms
        shown = [f"{t:.0f}" for t in (times.p50, times.p95, times.p99)] if times else ["", "", ""]
        rows.append([stage.name, *(f"{stage.figures[m].mean:.3f}" for m in SHOWN), *shown])
    return table(["stage", *SHOWN, "p50 ms", "p95 ms", "p99 ms"], rows)


def headline(report: Report) -> str:
    """Recall@100 of the first stage beside nDCG@10 of the whole pipeline: the two figures that decide."""
    first = next((s for s in report.stages if s.name == "first stage"), report.stages[0])
    rows = [
        ["first stage: recall@100", with_interval(first.figures["recall@100"])],
        ["whole pipeline: nDCG@10", with_interval(report.pipeline.figures["nDCG@10"])],
        ["whole pipeline: nDCG@5", with_interval(report.pipeline.figures["nDCG@5"])],
    ]
    return table([f"{report.title}, {len(report.queries)} questions", "mean [95% interval]"], rows)


def overview(reports: Sequence[Report]) -> str:
    """One line a report: the two figures that decide, and the time of a query."""
    rows = []
    for report in reports:
        first = next((s for s in report.stages if s.name == "first stage"), report.stages[0])
        times = report.pipeline.latency_ms
        rows.append(
            [
                report.title,
                str(len(report.queries)),
                str(report.costs.pages),
                with_interval(first.figures["recall@100"]),
                with_interval(first.figures["nDCG@10"]),
                with_interval(report.pipeline.figures["nDCG@10"]),
                f"{times.p50:.0f}" if times else "",
            ]
        )
    head = [
        "questions on",
        "n",
        "pages",
        "recall@100, first",
        "nDCG@10, first",
        "nDCG@10, pipeline",
        "p50 ms",
    ]
    return table(head, rows) if rows else "Not measured yet."


def lifts(report: Report) -> str:
    """What each step changed, and how sure that is; empty where there is one stage only."""
    if not report.lifts:
        return ""
    rows = [
        [
            f"{lift.before} → {lift.after}",
            lift.measure,
            with_interval(lift.change.mean),
            f"{lift.change.p_value:.4f}",
            f"{lift.change.helped} / {lift.change.hurt} / {lift.change.same}",
        ]
        for lift in report.lifts
    ]
    return table(["step", "measure", "change", "p", "helped / hurt / same"], rows)


def slices(report: Report) -> str:
    """The first stage and the whole pipeline over questions that share a value."""
    whole = report.pipeline.name
    first = "first stage" if "first stage" in {s.name for s in report.stages} else whole
    rows = [
        [
            f"{part.field}: {part.value}",
            str(part.queries),
            with_interval(part.figures[first]["recall@100"]),
            with_interval(part.figures[whole]["nDCG@10"]),
        ]
        for part in report.slices
    ]
    return table(["questions", "n", "recall@100, first stage", "nDCG@10, pipeline"], rows)


def grounding(report: Report) -> str:
    """Where the map of the query points; empty without gold boxes."""
    found = report.grounding
    if found is None:
        return ""
    rows = [
        ["pointing accuracy (hottest cell in a gold box)", with_interval(found.pointing)],
        ["the same for a point drawn at random", f"{found.chance:.3f}"],
        ["box overlap (intersection over union at equal area)", with_interval(found.overlap)],
        ["pages scored / without a map", f"{found.pages} / {found.left_out}"],
    ]
    return table(["grounding", "mean [95% interval]"], rows)


def comparison(found: Sequence[Comparison], first: str, second: str) -> str:
    """Two pipelines on the same questions."""
    rows = [
        [
            c.measure,
            f"{c.first:.3f}",
            f"{c.second:.3f}",
            with_interval(c.change.mean),
            f"{c.change.p_value:.4f}",
            f"{c.change.helped} / {c.change.hurt} / {c.change.same}",
        ]
        for c in found
    ]
    return table(["measure", first, second, "change", "p", "helped / hurt / same"], rows)


def source(report: Report) -> str:
    """One paragraph: what made the figures."""
    p = report.provenance
    reranker = p.reranker["model"] if p.reranker else "none"
    machine = ", ".join(f"{key} {value}" for key, value in p.hardware.items())
    return (
        f"Commit {p.commit or 'unknown'}, encoder {p.encoder['model']} ({p.encoder['digest']}), "
        f"reranker {reranker}, data {p.data} ({p.revision}), {p.created}, "
        f"{p.seconds:.0f} s of which {p.index_seconds:.0f} s indexing. {machine}."
    )


def costs(report: Report) -> str:
    """What the index took."""
    c = report.costs
    rate = f"{c.pages_per_second:.2f}" if c.pages_per_second is not None else "nothing to embed"
    rows = [[str(c.documents), str(c.pages), rate, f"{c.bytes_per_page:,.0f}"]]
    return table(["documents", "pages", "pages/s", "bytes a page"], rows)


def whole(report: Report) -> str:
    """`report.md`."""
    parts = [f"# {report.title}", source(report)]
    parts += [f"Note: {note}" for note in report.notes]
    if report.left_out:
        parts.append("Left out: " + ", ".join(f"{n} {kind}" for kind, n in report.left_out.items()))
    named = [
        ("Figures", headline(report)),
        ("Stages", stages(report)),
        ("Steps", lifts(report)),
        ("Grounding", grounding(report)),
        ("Slices", slices(report) if report.slices else ""),
        ("Costs", costs(report)),
    ]
    parts += [f"## {name}\n\n{text}" for name, text in named if text]
    return "\n\n".join(parts) + "\n"
