"""A question is searched for by what it asks, in words that pages hold."""

from dataclasses import replace

import pytest

from domain.page import Hit, Query
from domain.run import Answer, Run
from domain.wording import Wording, reworded, same_word, spelled, without_form

DEBT = "what is total debt of the company in FY 2021?"


@pytest.mark.parametrize(
    "form",
    [
        "Answer in millions.",
        "Answer in millions",
        "Anwser in millions",
        "Please answer with a single word.",
        "round your answer to three decimal places.",
        "Round to one decimal",
        "Answer in percentage terms, round to 2 decimal places.",
        "Please write the answer in float format.",
        'Write down the answer in list format with ascending order, e.g., ["1", "2"]',
        "The answer should be formatted as a list like ['Page 2', 'Page 4'].",
        "Format the date as YYYY-MM",
        "List the page numbers in a list like [2, 3, 5].",
        "Return me an integer.",
        "Enumerate each amount within a list.",
        "Represent these two numbers as format of list.",
        "Save your answer as a list, with each date formatted as 'YYYY-MM-DD'.",
        "Round your answer to two decimal places. Write the answer in int format.",
        "If debt is not a useful metric for a company like this, then please state that and explain why.",
        "If it is not outlined then state 0.",
        "If there is none, please say so",
    ],
)
@pytest.mark.parametrize("seam", [" ", ""])
def test_how_the_answer_is_to_be_written_is_not_searched_for(form: str, seam: str) -> None:
    assert without_form(DEBT + seam + form) == DEBT


@pytest.mark.parametrize(
    "text",
    [
        DEBT,
        "Answer in millions",  # nothing else would be left
        "round tables",
        "List the primary questions asked about the services in this report.",
        "List all pages on which the logo stands.",
        "Answer the following question by using the balance sheet: what is net debt?",
        "Give a response by relying on the details shown in the cash flow statement. What is capex?",
        "Which drugs are in the second round? Which one won?",
        "Which tables are there? Round tables or square ones?",
        "Who ordered it? State the number of the purchase order.",
        "Who runs the firm? Give the list of its directors.",
        "What was asked? Report the answer of the board.",
        "Formats differ. Format of drawings as of 2020?",
        "The format of files. Which formats are read?",
        "If we exclude acquisitions, which segment has dragged down growth?",
        "The pump hums. If it stalls, switch it off? If it is dry, fill it.",
        "Rates of the U.S. Government for St. Louis, 3.5 percent",
        "",
    ],
)
def test_what_is_asked_for_stays(text: str) -> None:
    assert without_form(text) == text


def test_a_misspelled_word_is_searched_for_beside_the_one_that_pages_hold() -> None:
    known = {"Neflix": "netflix", "advertsing": "advertising"}
    found = spelled(Query("1", "advertsing expense of Neflix in FY2015, Neflix"), known.get)
    assert found.query.text == "advertsing advertising expense of Neflix netflix in FY2015, Neflix netflix"
    assert found.notes == (
        "no page says “advertsing”: “advertising” is searched for too",
        "no page says “Neflix”: “netflix” is searched for too",
    )
    assert found.meant == "advertising expense of netflix in FY2015, netflix"
    short = Query("1", "x1 AB-77 2015 FY")
    assert spelled(short, {"FY": "fly"}.get) == Wording(short)


def test_answers_are_to_the_questions_that_were_asked() -> None:
    heard = []

    def stage(run: Run) -> Run:
        heard.extend(answer.query.text for answer in run.answers)
        return Run(tuple(Answer(a.query, (Hit("a/0001", 1.0),), notes=("found",)) for a in run.answers))

    def loud(query: Query) -> Wording:
        return Wording(replace(query, text=query.text.upper()), (f"note {query.id}",))

    run = Run.ask(Query("1", "one"), Query("2", "two"))
    found = reworded(loud, stage)(run)
    assert heard == ["ONE", "TWO"]
    assert [answer.query for answer in found.answers] == [answer.query for answer in run.answers]
    assert [answer.notes for answer in found.answers] == [("note 1", "found"), ("note 2", "found")]


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("colour", "color"), ("theatres", "theaters"), ("centre", "center"), ("labelled", "labeled"),
        ("analysing", "analyzing"), ("organisation", "organization"), ("defence", "defense"),
        ("programme", "program"), ("catalogue", "catalog"), ("anaemia", "anemia"),
    ],
)  # fmt: skip
def test_british_and_american_spellings_are_one_word(british: str, american: str) -> None:
    assert same_word(british, american)
    assert same_word(american, british)


@pytest.mark.parametrize("pair", [("cartoon", "carton"), ("bullet", "buller"), ("weight", "height")])
def test_words_that_are_spelled_alike_are_not_one_word(pair: tuple[str, str]) -> None:
    assert not same_word(*pair)
