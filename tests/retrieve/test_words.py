"""Search terms: codes, numbers and names survive, in every script."""

import pytest

from retrieve.words import captions, content, folded, heading, labels, terms


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10-K", ["10", "k", "10k"]),
        ("10K", ["10k"]),
        ("a rise of 3.1%", ["a", "rise", "of", "3.1", "3.1%"]),
        ("5 %", ["5"]),
        ("5%", ["5", "5%"]),
        ("$1,577", ["1577"]),
        ("1,234,567.89", ["1234567.89"]),
        ("$1577.00", ["1577.00", "1577"]),
        ("FY2018", ["fy2018", "fy", "2018"]),
        ("AMCOR_2023Q2", ["amcor", "2023q2", "2023", "q2", "amcor2023q2"]),
        ("Q22023", ["q22023", "q2", "2023"]),
        ("FY2023H1", ["fy2023h1", "fy", "2023", "h1"]),
        ("4Q23 h1 1984h", ["4q23", "h1", "1984h"]),
        ("A-12/4", ["a", "12", "4", "a124"]),
        ("3M_2018_10K", ["3m", "2018", "10k", "3m201810k"]),
        ("3M's", ["3m"]),
        ("opera-\ntion", ["opera", "tion", "operation"]),
        ("(12, 3)", ["12", "3"]),
        ("東京都の人口", ["東京", "京都", "都の", "の人", "人口"]),
        ("2020年", ["2020", "年"]),
        ("한국어", ["한국", "국어"]),
        ("ﬁrm ２０２０", ["firm", "2020"]),
        ('"*:^~\\', []),
        ("", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_the_same_code_in_two_spellings_shares_a_term() -> None:
    assert set(terms("Form 10-K")) & set(terms("3M_2018_10K")) >= {"10k"}
    assert set(terms("fiscal year 2018")) & set(terms("FY2018")) == {"2018"}


def test_accents_fold_and_other_letters_stay() -> None:
    assert [folded(word) for word in ("café", "naïve", "straße", "東京")] == [
        "cafe",
        "naive",
        "straße",
        "東京",
    ]


def test_words_that_every_text_has_are_dropped_unless_nothing_else_is_left() -> None:
    assert content(["what", "is", "the", "margin"]) == ["margin"]
    assert content(["what", "is"]) == ["what", "is"]


def test_a_very_long_run_of_letters_is_cut_and_costs_no_time() -> None:
    assert all(len(term) <= 41 for term in terms("a" * 100_000 + "-" + "b" * 100_000))
    assert len(terms("1," * 20_000)) == 20_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3\n\n Balance sheet \n31 12 2018\nin millions\nCash", "Balance sheet in millions"),
        ("12 | 2019\n資産の部\n現金", "資産の部 現金"),
        ("1\n2", ""),
        (" ".join(["word"] * 40), " ".join(["word"] * 24)),
    ],
)
def test_a_heading_is_the_first_two_lines_with_words_in_them(text: str, found: str) -> None:
    assert heading(text) == found


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("the bars in Fig. 3a and in Table1-1", ["figure:3a", "table:1-1"]),
        (
            "FIGURE 3 of section 4.2.1, Appendix B and Part II",
            ["figure:3", "section:4-2-1", "appendix:b", "part:ii"],
        ),
        ('List them as ["Chapter 5", "Chapter 8"]', []),
        ("a table of 12 rows, chart a course, note 3.5% in table 2,500", []),
        ("What is Item 7A?", ["item:7a"]),
    ],
)
def test_a_question_names_figures_tables_and_sections_by_their_numbers(
    question: str, named: list[str]
) -> None:
    assert labels(question) == named


def test_captions_stand_at_the_beginning_of_lines() -> None:
    page = "as Figure 1 shows\n  Figure 2: Growth\nTable\xa02–1. Results of Table 4\n• Step 3\nTable 5 5 5"
    assert captions(page) == ["figure:2", "table:2-1", "step:3", "table:5"]
