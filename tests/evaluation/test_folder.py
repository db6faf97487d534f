"""Whatever is wrong with a benchmark's files is named with its file and line."""

import json

import pytest

from domain.errors import UsageError
from evaluation.corpus import Corpus
from evaluation.folder import read_files, read_folder, resolve
from evaluation.questions import GoldBox
from evaluation.slices import groups

PAGES = {"a": 3, "b": 1}
QUERIES = [{"_id": "q1", "text": "one", "doc": "a"}, {"_id": "q2", "text": "two", "doc": "b"}]
QRELS = ["q1\ta#0\t1", "q1\ta#2\t2", "q2\tb#0\t1"]


@pytest.fixture
def folder(tmp_path):
    def write(queries=QUERIES, qrels=QRELS, header="query-id\tcorpus-id\tscore", pdfs=("a", "b")):
        (tmp_path / "pdfs").mkdir(exist_ok=True)
        for name in pdfs:
            (tmp_path / "pdfs" / f"{name}.pdf").write_bytes(name.encode())
        lines = [q if isinstance(q, str) else json.dumps(q) for q in queries]
        (tmp_path / "queries.jsonl").write_text("\n".join(lines) + "\n")
        (tmp_path / "qrels.tsv").write_text("\n".join([header, *qrels]) + "\n")
        return tmp_path

    return write


def refusal(directory, **options):
    with pytest.raises(UsageError) as caught:
        resolve(read_folder(directory), PAGES, **options)
    return str(caught.value)


def test_sound_files_become_questions_and_graded_judgements(folder):
    found = resolve(read_folder(folder()), PAGES)
    assert [q.id for q in found.questions] == ["q1", "q2"]
    assert found.qrels == {"q1": {"a#0": 1, "a#2": 2}, "q2": {"b#0": 1}}
    assert found.left_out == {}


def test_the_revision_changes_with_any_file_and_with_nothing_else(folder):
    first = read_folder(folder()).revision
    assert read_folder(folder()).revision == first
    assert read_folder(folder(qrels=QRELS[:2])).revision != first
    (folder() / "pdfs" / "b.pdf").write_bytes(b"changed")
    assert read_folder(folder(pdfs=("a",))).revision != first


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"qrels": [*QRELS, "q9\ta#0\t1"]}, "qrels.tsv:5: query 'q9' is not in queries.jsonl"),
        (
            {"qrels": [*QRELS, "q1\ta#3\t1"]},
            "qrels.tsv:5: page 'a#3' does not exist: a has 3 pages, the last is #2",
        ),
        ({"qrels": [*QRELS, "q1\tc#0\t1"]}, "qrels.tsv:5: page 'c#0': no pdfs/c.pdf that can be read"),
        ({"qrels": QRELS[:2]}, "queries.jsonl:2: query 'q2' has no relevant page in qrels.tsv"),
        (
            {"qrels": [*QRELS[:2], "q2\tb#0\t0"]},
            "queries.jsonl:2: query 'q2' has no relevant page in qrels.tsv",
        ),
    ],
)
def test_what_is_missing_is_named_and_allowed_only_when_asked(folder, changes, expected):
    directory = folder(**changes)
    text = refusal(directory)
    assert f"{directory}/{expected}" in text
    assert "--allow-missing" in text
    left_out = resolve(read_folder(directory), PAGES, allow_missing=True).left_out
    assert sum(left_out.values()) == 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"qrels": [*QRELS, QRELS[0]]}, "qrels.tsv:5: query 'q1' and page 'a#0' stand on line 2 already"),
        ({"queries": [*QUERIES, QUERIES[0]]}, "queries.jsonl:3: query 'q1' stands on line 1 already"),
        ({"qrels": [*QRELS, "q1 a#1 1"]}, "qrels.tsv:5: 1 columns; expected 'query-id corpus-id score'"),
        ({"qrels": [*QRELS, "q1\ta#1\t0.5"]}, "qrels.tsv:5: score must be a whole number, not '0.5'"),
        ({"qrels": [*QRELS, "q1\ta/0001\t1"]}, "qrels.tsv:5: 'a/0001' is not <pdf name without .pdf>#<page"),
        ({"header": "q0\tcorpus\tscore"}, "qrels.tsv:1: the header is 'q0\\tcorpus\\tscore'; expected"),
        ({"queries": ["{"]}, "queries.jsonl:1: not JSON"),
        ({"queries": ["[1]"]}, "queries.jsonl:1: a list; expected an object"),
        (
            {"queries": [{"query-id": 1, "query": "x"}]},
            "queries.jsonl:1: _id must be text without white space, not None",
        ),
        (
            {"queries": [{"_id": "q1", "text": " "}]},
            "queries.jsonl:1: query 'q1': text must hold the question",
        ),
        ({"queries": [{"_id": "q1", "text": "x", "doc": 4}]}, "queries.jsonl:1: query 'q1': doc must be"),
        (
            {"queries": [{"_id": "q1", "text": "x", "layout": [{"page": 1}]}]},
            "queries.jsonl:1: query 'q1': layout",
        ),
        ({"queries": []}, "queries.jsonl:1: no questions"),
    ],
)
def test_a_wrong_schema_or_a_duplicate_is_never_allowed(folder, changes, expected):
    directory = folder(**changes)
    assert f"{directory}/{expected}" in refusal(directory)
    assert f"{directory}/{expected}" in refusal(directory, allow_missing=True)


def test_every_finding_is_named_at_once_and_not_more_than_twenty(folder):
    text = refusal(folder(qrels=[*QRELS, *(f"x{i}\ta#0\t1" for i in range(30))]))
    assert "x19" in text
    assert "x20" not in text
    assert "and 10 more" in text


def test_bytes_that_are_not_utf8_are_named(folder):
    directory = folder()
    (directory / "queries.jsonl").write_bytes(b'{"_id": "q1", "text": "ok"}\n\xff\n')
    assert f"{directory}/queries.jsonl:2: not UTF-8" in refusal(directory)


def test_a_folder_without_pdfs_or_files_is_refused(tmp_path, folder):
    with pytest.raises(UsageError, match="is not a folder"):
        read_folder(tmp_path / "none")
    with pytest.raises(UsageError, match="holds no PDF"):
        read_folder(tmp_path)
    directory = folder()
    (directory / "qrels.tsv").unlink()
    assert "qrels.tsv:1: cannot be read: No such file" in refusal(directory)


def test_a_question_bound_to_a_document_needs_one_that_exists(folder):
    directory = folder(queries=[QUERIES[0], {"_id": "q2", "text": "two", "doc": "z"}])
    assert "queries.jsonl:2: query 'q2' names document 'z', which is not there" in refusal(
        directory, bound=True
    )
    assert resolve(read_folder(directory), PAGES).left_out == {}


def test_a_question_bound_to_a_document_must_name_one(folder):
    text = refusal(folder(queries=[{"_id": "q1", "text": "one"}, QUERIES[1]]), bound=True)
    assert "queries.jsonl:1: query 'q1' has no `doc`" in text


def test_what_cannot_be_read_is_named_alone(folder):
    text = refusal(folder(queries=["{", QUERIES[1]]))
    assert "queries.jsonl:1: not JSON" in text
    assert "'q1' is not in queries.jsonl" not in text


def test_nothing_left_to_evaluate_is_refused_even_when_missing_is_allowed(folder):
    assert "no question is left" in refusal(folder(qrels=[]), allow_missing=True)


def test_questions_about_a_stored_collection_need_no_pdfs(folder):
    directory = folder()
    files = read_files(directory / "queries.jsonl")
    assert resolve(files, PAGES).left_out == {}
    with pytest.raises(UsageError, match=r"qrels\.tsv:4: page 'b#0': no document 'b' in the collection"):
        resolve(files, {"a": 3})


def test_evidence_boxes_are_read_in_points(folder):
    layout = [{"page": 2, "page_size": [600, 800], "bbox": [60, 80.5, 120, 160]}]
    directory = folder(queries=[{**QUERIES[0], "layout": layout}, QUERIES[1]])
    question = resolve(read_folder(directory), PAGES).questions[0]
    assert question.boxes == (GoldBox(2, 600, 800, 60, 80.5, 120, 160),)
    assert "layout" not in question.fields


def test_equal_files_under_two_names_are_one_document_with_the_better_judgement():
    corpus = Corpus.of({"b": "id1", "a": "id1", "c": "id2"})
    assert corpus.corpus_id("id1/0003") == "a#2"
    assert corpus.page("b#2") == "id1/0003"
    assert corpus.canonical({"q": {"b#2": 2, "a#2": 1, "c#0": 0}}) == {"q": {"a#2": 2, "c#0": 0}}
    with pytest.raises(ValueError, match="not <document>#<page"):
        corpus.page("id1/0003")


def test_slices_are_made_of_fields_with_few_values_and_of_documents(folder):
    queries = [
        {
            "_id": f"q{i}",
            "text": "x",
            "doc": f"d{i}",
            "answer": f"a{i}",
            "types": ["Chart", "Table"][: i % 2 + 1],
        }
        for i in range(6)
    ]
    directory = folder(queries=queries, qrels=[f"q{i}\ta#0\t1" for i in range(6)])
    questions = resolve(read_folder(directory), PAGES).questions
    found = groups(questions, {"text layer": ["yes"] * 4 + ["no"] * 2})
    assert {g.field for g in found} == {"doc", "types", "text layer"}
    assert {(g.value, g.places) for g in found if g.field == "types"} == {
        ("Chart", (0, 1, 2, 3, 4, 5)),
        ("Table", (1, 3, 5)),
    }
