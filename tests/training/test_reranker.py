import gzip
import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import models
from domain.errors import UsageError
from training.reranker import train_reranker
from training.reranker_material import Drawn, question_weights
from training.reranker_mining import mine
from training.reranker_naming import named, with_openings
from training.reranker_pages import Asked, WordPage, asked_by, compose, read_pages
from training.reranker_recipe import read_recipe
from training.texts import Context, written


@pytest.fixture
def config(tmp_path: Path) -> Path:
    chance = random.Random(1)
    letters = "bcdfgklmnprstv"
    vocabulary = [
        "".join(chance.choice(letters) + chance.choice("aeiou") for _ in range(3)) for _ in range(600)
    ]
    passages = [[chance.choice(vocabulary) for _ in range(40)] for _ in range(90)]
    for folder in ("contexts", "pairs"):
        (tmp_path / folder).mkdir()
    contexts = [
        {"id": f"made-{n}", "title": f"t{n // 9}", "lang": "en", "kind": "text", "text": " ".join(words)}
        for n, words in enumerate(passages)
    ]
    asked = [
        {"q": " ".join(words[s : s + 4]), "ctx": f"made-{n}", "a": [], "lang": "en", "split": "train"}
        for n, words in enumerate(passages)
        for s in (0, 9, 20)
    ]
    for folder, rows in (("contexts", contexts), ("pairs", asked)):
        with gzip.open(tmp_path / folder / "made.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    path = tmp_path / "tiny.toml"
    path.write_text(
        'text = "."\noutput = "out"\nwork = "work"\nwarm = 20\nsteps = 20\nlast = 0\nquestions = 4\n'
        "candidates = 5\npages_a_document = 1\nsave_every = 10\nheld_out = 0.3\ndim = 48\nbuckets = 4096\n"
        "[shape]\nhidden = 16\nlayers = 1\nheads = 2\ninner = 16\nquestion_words = 6\npage_words = 12\n"
    )
    return path


def test_a_tiny_reranker_trains_end_to_end_and_beats_chance_on_held_out_documents(config: Path) -> None:
    output = train_reranker(config)
    held = json.loads((config.parent / "work" / "held_out.json").read_text())["simulated"]
    assert held["questions"] > 10
    assert held["sight"] > 2 * held["chance"]
    assert held["text"] > 2 * held["chance"]
    assert json.loads((output / "config.json").read_text())["page_words"] == 12


def test_a_run_stopped_halfway_and_resumed_ends_where_an_unbroken_one_does(config: Path) -> None:
    whole = (train_reranker(config) / "model.safetensors").read_bytes()
    (config.parent / "work" / "checkpoint.pt").unlink()

    def stop(line: str) -> None:
        if line.startswith("step 20/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_reranker(config, progress=stop)
    told: list[str] = []
    again = (train_reranker(config, resume=True, progress=told.append) / "model.safetensors").read_bytes()
    assert again == whole
    assert not any(line.startswith("step 0/") for line in told)


def test_every_question_is_about_a_page_that_shows_its_passage(config: Path) -> None:
    train_reranker(config)
    pages = read_pages(sorted((config.parent / "work" / "composed").glob("*.pdf")))
    with gzip.open(config.parent / "contexts" / "made.jsonl.gz", "rt") as file:
        first = json.loads(file.readline())["text"].split()
    assert any(set(first) <= set(page.words) for page in pages)


@pytest.mark.parametrize("line", ['colour = "red"\n', "warm = \n"])
def test_a_configuration_that_cannot_be_used_is_refused(config: Path, line: str) -> None:
    config.write_text(line + config.read_text())
    with pytest.raises(UsageError, match=r"colour|cannot be read"):
        train_reranker(config)


def test_questions_that_somebody_wrote_are_about_the_real_pages_that_are_there(tmp_path: Path) -> None:
    file = tmp_path / "written.jsonl"
    file.write_text(
        '{"text": "what fell?", "doc": "one", "pages": [2, 0, 7]}\n{"text": "q", "doc": "two", "pages": [0]}\n'
    )
    none = np.zeros((0, 4), np.float32)
    pages = [WordPage(tmp_path / "one.pdf", number, ("rain",), none) for number in range(3)]
    assert asked_by(written(file), pages) == [Asked("what fell?", (0, 2), written=True)]


@pytest.mark.parametrize(
    "line", ["no json", '{"text": "q", "doc": "one"}', '{"text": "q", "doc": "d", "pages": 3}']
)
def test_a_line_that_is_no_question_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "written.jsonl"
    file.write_text('{"text": "q", "doc": "one", "pages": [0]}\n' + line)
    with pytest.raises(UsageError, match=r"written.jsonl, line 2"):
        written(file)
    with pytest.raises(UsageError, match=r"absent\.jsonl"):
        written(tmp_path / "absent.jsonl")


def test_written_questions_are_drawn_as_often_as_the_recipe_says(config: Path) -> None:
    recipe = replace(read_recipe(config), written_share=0.75, easy=0.5)
    made = [Drawn(written=False, document=0, easy=place == 0) for place in range(9)]
    written = [Drawn(written=True, document=document, easy=False) for document in (1, 2, 2, 2, 2)]
    weights = question_weights([*made, *written], recipe)
    assert sum(weights[9:]) == pytest.approx(0.75 * sum(weights))
    assert weights[0] == pytest.approx(0.5 * weights[1])
    assert sum(weights[10:]) == pytest.approx(2 * weights[9])


def test_pages_are_mined_as_the_first_stage_ranks_them(tmp_path: Path) -> None:
    texts = [
        "rain in the hills",
        "sun on the hills",
        "snow on the hills",
        "a ledger of debts",
        "debts and rain",
    ]
    pages = [
        WordPage(
            tmp_path / f"d{n // 2}.pdf", n % 2, tuple(text.split()), np.zeros((0, 4), np.float32), text=text
        )
        for n, text in enumerate(texts)
    ]
    asked = [Asked("rain in the hills", (0,)), Asked("hills", (1, 2)), Asked("ledger of debts", (4,))]
    mined = mine(pages, asked, tower=Path(models.__file__).parent / "text", work=tmp_path / "w", tell=print)
    assert mined.best[0] == 0
    assert mined.best[1] in {1, 2}
    assert mined.near[2, 0] == 3
    assert mined.easy(0)
    assert not mined.easy(2)
    for near, scores, one in zip(mined.near, mined.scores, asked, strict=True):
        found = near[near >= 0]
        assert not set(found) & set(one.pages)
        assert len(set(found)) == len(found) <= len(pages) - len(one.pages)
        assert (np.diff(scores[1 : 1 + len(found)]) <= 0).all()
    assert not (tmp_path / "w").exists()


def test_contexts_of_one_title_are_a_document_that_names_it_where_it_begins(tmp_path: Path) -> None:
    passage = "light passes through glass and water and is bent on its way to the other side of them both "
    shared = [Context(f"made-{n}", "Optics", passage * 2, ()) for n in range(8)]
    others = [Context(f"other-{n}", f"Topic {n}", passage, ()) for n in range(4)]
    where = compose([*others, *shared], tmp_path, seed=1, pages_a_document=5)
    own = {where[context.id][0] for context in shared}
    assert len(own) == 1
    assert not own & {where[context.id][0] for context in others}
    pages = read_pages(sorted(own))
    assert ["optics" in page.words for page in pages] == [True] + [False] * (len(pages) - 1)
    opened = with_openings(pages, untitled=1.0)
    assert all("optics" in page.opening for page in opened)


def test_questions_name_their_document_in_words_of_its_opening(tmp_path: Path) -> None:
    def page(document: str, number: int, text: str) -> WordPage:
        return WordPage(
            tmp_path / f"{document}.pdf", number, tuple(text.split()), np.zeros((0, 4), np.float32)
        )

    pages = [
        page("one", 0, "a report about salmon"), page("one", 1, "costs of the year"),
        page("two", 0, "a report about beetles"), page("two", 1, "costs of the year"),
    ]  # fmt: skip
    pages = with_openings(pages, untitled=0.0)
    asked = [Asked("what did it cost?", (1,)), Asked("what did it cost?", (3,))]
    assert named(asked, pages, share=0.0, seed=1) == asked
    for seed in range(20):
        first, second = named(asked, pages, share=1.0, seed=seed)
        assert first.text != asked[0].text
        assert (first.pages, second.pages) == ((1,), (3,))
        assert "beetles" not in first.text
        assert "salmon" not in second.text
