"""Chunks and questions as word pieces, with what the teachers think of them and which are easily confused."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer

from domain.errors import UsageError
from retrieve.dense import cut_text, spoken
from training.text_tower_data import Passage, read_documents, read_passages, read_questions, row_questions
from training.text_tower_recipe import TextRecipe

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Every chunk and question as word pieces, with the teachers' opinion of each, if there are any.

    Attributes:
        chunks: word pieces of each.
        owners: the place of the passage that each is from.
        documents: the document or article that each is from.
        questions: word pieces of each.
        answers: the chunk that answers each best.
        hard: (questions, any) chunks that rank high and do not answer; -1 where there are fewer.
        chunk_rows, question_rows: the teachers' opinion.
    """

    chunks: list[list[int]]
    owners: NDArray[np.int64]
    documents: NDArray[np.int64]
    questions: list[list[int]]
    answers: NDArray[np.int64]
    hard: NDArray[np.int64]
    chunk_rows: NDArray[np.float16] | None
    question_rows: NDArray[np.float16] | None


def make_pool(recipe: TextRecipe, tokenizer: Tokenizer, tell: Progress) -> Pool:
    """Read, cut and mine everything that the recipe names."""
    real = read_documents(recipe.pdfs)
    passages = [*read_passages(recipe.text, languages=recipe.languages), *real]
    asked = [
        *read_questions(recipe.text, languages=recipe.languages),
        *row_questions(real, a_page=2, seed=recipe.seed),
    ]
    chunks, spoken_chunks, owners = _cut(passages, tokenizer, recipe)
    articles = [passages[owner].source + passages[owner].title for owner in owners]
    documents = np.unique(articles, return_inverse=True)[1]
    names = {passage.id: place for place, passage in enumerate(passages)}
    asked = [question for question in asked if question.passage in names]
    texts = [_marked(question.text, tokenizer, recipe) for question in asked]
    if not recipe.teacher_layers:
        first = np.searchsorted(owners, [names[question.passage] for question in asked])
        return Pool(chunks, owners, documents, texts, first, np.full((len(asked), 0), -1), None, None)
    spoken_questions = [question.text for question in asked]
    rows, question_rows = _taught(recipe, (chunks, spoken_chunks), (texts, spoken_questions), tell)
    wanted = np.array([names[question.passage] for question in asked])
    right, hard = _mine(rows, owners, question_rows, wanted)
    return Pool(chunks, owners, documents, texts, right, hard, rows, question_rows)


def _cut(
    passages: Sequence[Passage], tokenizer: Tokenizer, recipe: TextRecipe
) -> tuple[list[list[int]], list[str], NDArray[np.int64]]:
    """Chunks as word pieces and as they are written, and the place of the passage that each is from."""
    chance, shape = random.Random(recipe.seed), recipe.shape
    first, last = _marks(tokenizer)
    chunks: list[list[int]] = []
    written: list[str] = []
    owners: list[int] = []
    for place, passage in enumerate(passages):
        title = spoken(passage.title) + "." if passage.title and chance.random() < recipe.titled else ""
        heading = tokenizer.encode(title, add_special_tokens=False).ids[: shape.title_tokens]
        read = tokenizer.encode(passage.text, add_special_tokens=False)
        runs = cut_text(
            range(len(read.ids)),
            title=[-1] * len(heading),
            size=shape.max_tokens,
            overlap=shape.overlap,
            marks=(-1, -1),
        )
        most = recipe.chunks_a_page if passage.source == passage.title else recipe.chunks_a_passage
        for run in chance.sample(runs, min(most, len(runs))):
            body = run[1 + len(heading) : -1]
            start, end = read.offsets[body[0]][0], read.offsets[body[-1]][1]
            chunks.append([first, *heading, *(read.ids[number] for number in body), last])
            written.append(f"{title} {passage.text[start:end]}".strip())
            owners.append(place)
    return chunks, written, np.array(owners)


def _marked(text: str, tokenizer: Tokenizer, recipe: TextRecipe) -> list[int]:
    pieces = tokenizer.encode(text, add_special_tokens=False).ids[: recipe.shape.max_tokens - 2]
    first, last = _marks(tokenizer)
    return [first, *pieces, last]


def _marks(tokenizer: Tokenizer) -> tuple[int, int]:
    first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    if first is None or last is None:
        raise UsageError("the tokenizer has no [CLS] or no [SEP]; name one that has both")
    return first, last


def _taught(
    recipe: TextRecipe,
    chunks: tuple[list[list[int]], list[str]],
    questions: tuple[list[list[int]], list[str]],
    tell: Progress,
) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """What both teachers think of chunks and questions, each as word pieces and as it is written."""
    path = recipe.work / "teachers.npz"
    if path.is_file():
        kept = np.load(path)
        if len(kept["chunks"]) == len(chunks[0]) and len(kept["questions"]) == len(questions[0]):
            return kept["chunks"], kept["questions"]
    teaching = import_module("training.text_tower_teacher")
    rows, question_rows = teaching.opinions(chunks, questions, most=2 * recipe.shape.max_tokens, tell=tell)
    np.savez(path, chunks=rows, questions=question_rows)
    return rows, question_rows


def _mine(
    rows: NDArray[np.float16],
    owners: NDArray[np.int64],
    asked: NDArray[np.float16],
    wanted: NDArray[np.int64],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The right passage's best chunk for each question, and chunks that rank high but are not right.

    A chunk that scores above 0.95 of the right one is left out: it may answer too.
    """
    right = np.zeros(len(asked), dtype=np.int64)
    hard = np.full((len(asked), 10), -1)
    table = torch.from_numpy(rows).float()
    for start in range(0, len(asked), 512):
        part = torch.from_numpy(asked[start : start + 512]).float()
        scores, near = (part @ table.T).topk(30)
        for row in range(len(part)):
            place = start + row
            own = np.arange(*np.searchsorted(owners, [wanted[place], wanted[place] + 1]))
            if not len(own):
                continue
            fits = rows[own].astype(np.float32) @ asked[place].astype(np.float32)
            right[place] = own[fits.argmax()]
            keep = (owners[near[row].numpy()] != wanted[place]) & (scores[row].numpy() < 0.95 * fits.max())
            found = near[row].numpy()[keep][:10]
            hard[place, : len(found)] = found
    return right, hard
