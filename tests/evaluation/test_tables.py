"""No figure in the documentation is typed by hand, and a stale one is found."""

import json

import pytest

from evaluation import report, tables


@pytest.fixture
def root(tmp_path, build):
    results = tmp_path / "benchmarks" / "results"
    report.save(build()[0], results / "mine.json")
    rows = [{"engine": "a", "p50_ms": 1.23456}, {"engine": "b", "p50_ms": 1234.5}]
    named = {"small": {"pages": 10, "rate": 2.0}, "large": {"pages": 20000}}
    (results / "other.json").write_text(json.dumps({"rows": rows, "sizes": named, "seconds": 3}))
    (tmp_path / "docs").mkdir()
    return tmp_path


def write(root, *asked):
    blocks = [f"Text.\n\n<!-- figures: {a} -->\n<!-- /figures -->\n" for a in asked]
    (root / "README.md").write_text("\n".join(blocks))


def test_tables_are_written_once_and_then_agree(root):
    write(
        root,
        "mine headline",
        "mine stages",
        "other rows=rows",
        "other rows=sizes columns=name,pages",
        "other",
    )
    assert tables.run(root, check=True) == ["README.md"]
    assert tables.run(root, check=False) == ["README.md"]
    assert tables.run(root, check=True) == []
    text = (root / "README.md").read_text()
    assert "| first stage: recall@100 | 0.875" in text
    assert "| a | 1.235 |" in text
    assert "| b | 1,234.5 |" in text
    assert "| large | 20,000 |" in text
    assert "| seconds | 3 |" in text


def test_an_alias_and_a_pattern_show_one_line_a_report(root, build):
    report.save(build(title="tiny two")[0], root / "benchmarks" / "results" / "mine-2.json")
    (root / "docs" / "figures.toml").write_text('readme = "mine* overview"\nnone = "x-* overview"\n')
    (root / "README.md").write_text(
        "<!-- figures:readme -->\n<!-- /figures -->\n<!-- figures: none -->\n<!-- /figures -->\n"
        "<!-- figures: benchmarks/results/rerank.json -->\nby its own hand\n"
    )
    assert tables.main([], root) == 0
    text = (root / "README.md").read_text()
    assert "| tiny | 8 | 6 | 0.875" in text
    assert "| tiny two | 8 |" in text
    assert "<!-- figures: none -->\nNot measured yet.\n<!-- /figures -->" in text
    assert "by its own hand" in text


def test_a_figure_changed_by_hand_is_found(root, capsys):
    write(root, "other rows=rows")
    tables.run(root, check=False)
    path = root / "README.md"
    path.write_text(path.read_text().replace("1.235", "1.035"))
    assert tables.main(["--check"], root) == 1
    assert "README.md: tables differ from the reports" in capsys.readouterr().err
    assert tables.main([], root) == 0
    assert "1.235" in path.read_text()


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("none stages", "there is no"),
        ("other rows=lines", "has no 'lines': nothing is called 'lines'"),
        ("other rows=rows columns=p99", "no row has a column p99"),
        ("other stages", "is not a report of this version"),
        ("mine colour", "neither a view of a report"),
    ],
)
def test_a_comment_that_asks_for_what_is_not_there_is_named(root, capsys, asked, expected):
    write(root, asked)
    assert tables.main([], root) == 2
    said = capsys.readouterr().err
    assert said.startswith("README.md: ")
    assert expected in said


def test_a_table_without_an_end_is_named(root, capsys):
    (root / "docs" / "a.md").write_text("<!-- figures: other rows=rows -->\n| a |\n")
    assert tables.main(["--check"], root) == 2
    assert "docs/a.md: a `<!-- figures: ... -->` has no" in capsys.readouterr().err


def test_the_tables_of_this_repository_agree_with_its_reports():
    assert tables.run(tables.ROOT, check=True) == []
