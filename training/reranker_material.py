"""Everything that a training run of the reranker holds: network, words, pages, questions, pictures."""

import math
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

import models
from domain.errors import UsageError
from rerank.builtin.files import load_network
from rerank.builtin.network import RerankNetwork
from rerank.builtin.pairs import Reader, Reading
from rerank.builtin.pieces import read_pieces
from rerank.builtin.spelling import EncoderWords, Speller, read_words
from retrieve.text_tower import load_network as load_text_network
from training.reranker_mining import Mined, mine
from training.reranker_naming import named, with_openings
from training.reranker_pages import (
    Asked,
    WordPage,
    as_served,
    asked_by,
    asked_of,
    asked_of_lines,
    asked_of_rows,
    compose,
    read_pages,
)
from training.reranker_pool import Lexicon, Misreader, Task, count_words, make_lexicon, make_task, rarities
from training.reranker_recipe import RerankRecipe
from training.reranker_sight import look_at, made_up_words
from training.texts import Context, contexts, pairs, written
from training.written_documents import print_documents

Progress = Callable[[str], None]
Mining = Callable[[Sequence[WordPage], Sequence[Asked]], Mined]

MOST_HELD = 60
"""Questions that evaluate, and that calibrate, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """A set of pages and questions: which train, which evaluate, which calibrate.

    Attributes:
        name: for reports.
        task: pages, questions and negatives.
        train: questions that train.
        weights: how likely each of them is drawn.
        evaluate: questions about documents that never train.
        calibrate: questions about yet other documents.
        pictures: a page's vectors as the encoder read them; empty where reading is simulated.
    """

    name: str
    task: Task
    train: list[int]
    weights: list[float]
    evaluate: list[int]
    calibrate: list[int]
    pictures: Mapping[int, Reading] = field(default_factory=dict)

    def seen(self, question: int, pages: Sequence[int], lexicon: Lexicon) -> list[Reading]:
        """What the encoder read of pages, framed for a question."""
        return [self.task.framed(question, page, self.pictures[page], lexicon) for page in pages]


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What the training loop needs; the stages in the order in which they train."""

    network: RerankNetwork
    reader: Reader
    lexicon: Lexicon
    misreader: Misreader
    stages: list[Stage]


def gather(recipe: RerankRecipe, tell: Progress) -> Material:
    """Read, compose and mine everything that the recipe names, and make the network's start."""
    pages, asked = _pages(recipe, tell)
    counts = count_words(pages, asked)
    tower = recipe.tower or Path(models.__file__).parent / "text"
    reader = Reader(Speller(_words(recipe, counts, len(pages))), read_pieces(tower))
    lexicon = make_lexicon(counts, len(pages), reader)
    tell(f"{len(pages)} pages, {len(asked)} questions, {len(lexicon.numbers)} words")
    mining = partial(mine, tower=tower, work=recipe.work / "first-stage", tell=tell)
    stages = [_stage("simulated", pages, asked, lexicon, recipe, mining)]
    if recipe.encoder and recipe.pictures:
        look = partial(look_at, directory=recipe.encoder, reader=reader, work=recipe.work, tell=tell)
        stages.append(_seen(pages, asked, lexicon, recipe, mining, look))
    misreader = Misreader(lexicon, tuple(lexicon.numbers), reader.speller)
    return Material(_start(recipe, tower, reader), reader, lexicon, misreader, stages)


def _start(recipe: RerankRecipe, tower: Path, reader: Reader) -> RerankNetwork:
    """An earlier reranker, or the text tower's layers under a head that says nothing yet."""
    if recipe.start:
        network, _ = load_network(recipe.start, reader.pieces.table)
        return network
    torch.manual_seed(recipe.seed)
    network = RerankNetwork(recipe.shape, reader.pieces.table)
    if recipe.shape.hidden == recipe.shape.width:
        given, _ = load_text_network(tower)
        with torch.no_grad():
            network.places.weight[: given.config.max_tokens] = given.places.weight[: recipe.shape.tokens]
        network.start.load_state_dict(given.start.state_dict())
        for own, old in zip(network.layers, given.layers, strict=False):
            own.load_state_dict(old.state_dict())
    return network


def _words(recipe: RerankRecipe, counts: Mapping[str, int], total: int) -> EncoderWords:
    if recipe.encoder:
        return read_words(recipe.encoder)
    rarity = dict(zip(counts, rarities(counts, total).tolist(), strict=True))
    return made_up_words(rarity, buckets=recipe.buckets, dim=recipe.dim, seed=recipe.seed)


def _pages(recipe: RerankRecipe, tell: Progress) -> tuple[list[WordPage], list[Asked]]:
    chance = random.Random(recipe.seed)
    found = [one for one in contexts(recipe.text) if not one.id.startswith("wiki-")]
    chance.shuffle(found)
    where = compose(
        found[: recipe.contexts],
        recipe.work / "composed",
        seed=recipe.seed,
        pages_a_document=recipe.pages_a_document,
    )
    titles = _titles(found, where)
    composed = [
        replace(page, title=titles[page.path])
        for page in read_pages(sorted({path for path, _ in where.values()}))
    ]
    tell(f"set {len(where)} contexts on {len(composed)} pages")
    real = _real_pages(recipe, chance)
    pages = with_openings([*real, *composed], untitled=recipe.untitled)
    asked = asked_of(pairs(recipe.text), where, pages)
    asked += asked_of_rows(pages[: len(real)], a_page=3, seed=recipe.seed)
    asked += asked_of_lines(pages[: len(real)], seed=recipe.seed)
    if len(asked) < 10:
        raise UsageError(f"{recipe.text} and {recipe.pdfs} give only {len(asked)} questions to train on")
    if recipe.written:
        asked += asked_by(written(recipe.written), pages)
    return pages, [as_served(one) for one in named(asked, pages, share=recipe.named, seed=recipe.seed)]


def _real_pages(recipe: RerankRecipe, chance: random.Random) -> list[WordPage]:
    """Pages of the documents written for training and of PDFs in any order, as many as the recipe says."""
    paths = [path for directory in recipe.pdfs for path in sorted(directory.glob("*.pdf"))]
    chance.shuffle(paths)
    if recipe.documents:
        paths = [*print_documents(recipe.documents, recipe.work / "documents"), *paths]
    found: list[WordPage] = []
    for path in paths:
        found += read_pages([path]) if len(found) < recipe.pages else []
    return [replace(page, title=page.document) for page in found[: recipe.pages]]


def _titles(found: Sequence[Context], where: Mapping[str, tuple[Path, int]]) -> dict[Path, str]:
    """A document's title: that of most of its contexts; empty where most have another."""
    of: dict[Path, Counter[str]] = {}
    for one in found:
        if one.id in where:
            of.setdefault(where[one.id][0], Counter())[one.title] += 1
    return {
        path: title if 2 * times > counts.total() else ""
        for path, counts in of.items()
        for title, times in counts.most_common(1)
    }


def _stage(
    name: str,
    pages: Sequence[WordPage],
    asked: Sequence[Asked],
    lexicon: Lexicon,
    recipe: RerankRecipe,
    mining: Mining,
) -> Stage:
    mined = mining(pages, asked)
    task = make_task(pages, asked, lexicon, mined, most_words=recipe.shape.question_words)
    documents = sorted(set(task.documents.tolist()))
    random.Random(recipe.seed).shuffle(documents)
    kept = max(1, round(len(documents) * recipe.held_out))
    held, apart = set(documents[:kept]), set(documents[kept : 2 * kept])
    of = [int(task.documents[right[0]]) for right in task.right]
    usable = [q for q in range(len(of)) if len(task.questions[q])]
    train = [q for q in usable if of[q] not in held and of[q] not in apart]
    if not train:
        raise UsageError(
            f"{len(documents)} documents are too few to train on and hold some out; add text or PDFs"
        )
    return Stage(
        name=name,
        task=task,
        train=train,
        weights=question_weights([Drawn(asked[q].written, of[q], mined.easy(q)) for q in train], recipe),
        evaluate=[q for q in usable if of[q] in held][:MOST_HELD],
        calibrate=[q for q in usable if of[q] in apart][:MOST_HELD],
    )


@dataclass(frozen=True, slots=True)
class Drawn:
    """A question that may be drawn: whether somebody wrote it, its document, whether the first stage finds it."""

    written: bool
    document: int
    easy: bool


def question_weights(train: Sequence[Drawn], recipe: RerankRecipe) -> list[float]:
    """How likely each question is drawn.

    Easy ones are less likely. Those that somebody wrote have their share together; of one document's each is the less
    likely the more there are, by the square root: a kind of documents with few questions is learned too.
    """
    weights = np.array([recipe.easy if one.easy else 1.0 for one in train])
    written = np.array([one.written for one in train])
    often = Counter(one.document for one in train if one.written)
    weights[written] /= [math.sqrt(often[one.document]) for one in train if one.written]
    if written.any() and not written.all():
        odds = recipe.written_share / (1 - recipe.written_share)
        weights[written] *= odds * weights[~written].sum() / weights[written].sum()
    found: list[float] = weights.tolist()
    return found


def _seen(
    pages: Sequence[WordPage],
    asked: Sequence[Asked],
    lexicon: Lexicon,
    recipe: RerankRecipe,
    mining: Mining,
    look: Callable[[Sequence[WordPage]], list[Reading]],
) -> Stage:
    """The last stage: some documents whole, as the encoder reads them."""
    names = sorted({page.document for page in pages})
    random.Random(recipe.seed + 1).shuffle(names)
    chosen: list[int] = []
    for name in names:
        own = [place for place, page in enumerate(pages) if page.document == name][:60]
        if len(chosen) < recipe.pictures:
            chosen += own
    chosen = chosen[: recipe.pictures]
    place = {old: new for new, old in enumerate(chosen)}
    left = [
        replace(one, pages=tuple(place[page] for page in one.pages if page in place))
        for one in asked
        if any(page in place for page in one.pages)
    ]
    some = [pages[old] for old in chosen]
    stage = _stage("seen", some, left, lexicon, recipe, mining)
    pictures = look(some)
    return replace(stage, pictures=dict(enumerate(pictures)))
