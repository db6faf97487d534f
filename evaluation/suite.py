"""Several benchmarks as one: a report over all their questions, beside the report of each."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from domain.errors import UsageError
from evaluation.assess import assess
from evaluation.folder import Files
from evaluation.gallery import WORST, Case
from evaluation.grounding import Pointed, figures
from evaluation.pages import Outcome
from evaluation.rank import Ranking
from evaluation.report import Costs, Provenance
from evaluation.slices import Group


def title(names: Sequence[str]) -> str:
    """What a report over several benchmarks is called."""
    return " + ".join(names)


def revision(revisions: Sequence[str]) -> str:
    """Changes when any benchmark's files do."""
    return hashlib.sha256("\n".join(revisions).encode()).hexdigest()[:16]


def distinct(found: Sequence[Files]) -> None:
    """Refuse two folders of one name: their questions could not be told apart.

    Raises:
        UsageError: names both folders.
    """
    places: dict[str, Files] = {}
    for files in found:
        if files.name in places:
            first, second = places[files.name].queries.parent, files.queries.parent
            raise UsageError(f"{first} and {second} have one name; rename one, or evaluate it alone")
        places[files.name] = files


def joined(outcomes: Sequence[Outcome], *, seconds: float) -> Outcome:
    """One outcome over all questions, each of which counts once; ids are `<benchmark>:<id>`.

    Args:
        outcomes: of one configuration, so that their stages have the same names.
        seconds: what everything took.

    Raises:
        UsageError: the stages differ, as where stored libraries have other arms.
    """
    stages = {tuple(ranking.name for ranking in outcome.rankings) for outcome in outcomes}
    if len(stages) != 1:
        raise UsageError(f"the stages differ: {' and '.join(map(', '.join, sorted(stages)))}; give --arms")
    names = [outcome.report.provenance.data.partition("/")[0] for outcome in outcomes]
    named = list(zip(names, outcomes, strict=True))
    qrels = {f"{name}:{q}": judged for name, one in named for q, judged in one.qrels.items()}
    queries = tuple(f"{name}:{q}" for name, one in named for q in one.report.queries)
    rankings = tuple(_ranking(named, place) for place in range(len(stages.pop())))
    slices = _groups(named)
    found = assess(qrels, queries, rankings, groups=slices)
    pointed = Pointed.joined(one.pointed for one in outcomes)
    report = replace(
        outcomes[0].report,
        title=title([one.report.title for one in outcomes]),
        provenance=_provenance(outcomes, seconds),
        stages=found.stages,
        lifts=found.lifts,
        slices=found.slices,
        costs=_costs(outcomes),
        queries=queries,
        scores=found.scores,
        grounding=figures(pointed),
        left_out=_left_out(outcomes),
        notes=tuple(f"{name}: {note}" for name, one in named for note in one.report.notes),
    )
    return Outcome(
        report=report,
        rankings=rankings,
        cases=_worst(named),
        failed=tuple(chain.from_iterable(one.failed for one in outcomes)),
        qrels=qrels,
        groups=slices,
        pointed=pointed,
        embedded=sum(one.embedded for one in outcomes),
    )


Named = Sequence[tuple[str, Outcome]]


def _ranking(named: Named, place: int) -> Ranking:
    parts = [(name, one.rankings[place]) for name, one in named]
    run = {f"{name}:{q}": pages for name, part in parts for q, pages in part.run.items()}
    times = tuple(chain.from_iterable(part.ms for _, part in parts))
    return Ranking(parts[0][1].name, run, times)


def _groups(named: Named) -> tuple[Group, ...]:
    """Each benchmark, and what several of them share; single documents stay in their own report."""
    places: dict[tuple[str, str], list[int]] = {}
    start = 0
    for name, one in named:
        count = len(one.report.queries)
        places[("benchmark", name)] = list(range(start, start + count))
        for group in one.groups:
            if group.field != "doc":
                places.setdefault((group.field, group.value), []).extend(start + at for at in group.places)
        start += count
    return tuple(Group(field, value, tuple(found)) for (field, value), found in places.items())


def _worst(named: Named) -> tuple[Case, ...]:
    cases = [
        replace(case, question=replace(case.question, id=f"{name}:{case.question.id}"))
        for name, one in named
        for case in one.cases
    ]
    return tuple(sorted(cases, key=lambda case: (case.value, case.question.id))[:WORST])


def _provenance(outcomes: Sequence[Outcome], seconds: float) -> Provenance:
    made = [one.report.provenance for one in outcomes]
    return replace(
        made[-1],
        data=title([p.data for p in made]),
        revision=revision([p.revision for p in made]),
        seconds=seconds,
        index_seconds=sum(p.index_seconds for p in made),
    )


def _costs(outcomes: Sequence[Outcome]) -> Costs:
    spent = sum(one.report.provenance.index_seconds for one in outcomes)
    embedded = sum(one.embedded for one in outcomes)
    parts = [one.report.costs for one in outcomes]
    pages = sum(part.pages for part in parts)
    return Costs(
        documents=sum(part.documents for part in parts),
        pages=pages,
        pages_per_second=embedded / spent if embedded and spent else None,
        bytes_per_page=sum(part.bytes_per_page * part.pages for part in parts) / max(pages, 1),
    )


def _left_out(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    total: dict[str, int] = {}
    for one in outcomes:
        for kind, count in one.report.left_out.items():
            total[kind] = total.get(kind, 0) + count
    return total
