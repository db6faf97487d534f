"""A question is also looked for by what its pages say in place of its words."""

import pytest

from domain.page import Query
from domain.vocabulary import looked_for_too
from domain.wording import Wording, spelled, widened

INCOME = "consolidated statements of income, operations or earnings"
BALANCE = "consolidated balance sheets"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("What is the ROA of the firm?", {"ROA": ["return on assets", "net income", "total assets", INCOME, BALANCE]}),
        ("the firm's Returns-on asset", {"Returns on asset": ["net income", "total assets", INCOME, BALANCE]}),
        ("shareholders’ equity", {"shareholders equity": ["total stockholders equity", BALANCE]}),
        # the longest phrase counts, and what it brings is told once
        ("asset turnover", {"asset turnover": ["net sales", "total assets", INCOME, BALANCE]}),
        ("net income and total assets", {"net income": [INCOME], "total assets": [BALANCE]}),
        ("total assets in the consolidated balance sheets", {"balance sheets": ["statement of financial position"]}),
        ("SG&A of A&B", {"SG&A": ["selling general and administrative expenses", INCOME]}),
        ("Which animals eat grass?", {}),
        ("the incomes of nets", {}),
        ("", {}),
    ],
)  # fmt: skip
def test_a_question_brings_what_pages_say(text: str, found: dict[str, list[str]]) -> None:
    assert looked_for_too(text) == found


def test_a_library_knows_words_of_its_own_and_drops_others() -> None:
    own = {"TTM": ["time to market"], "time to market": ["launch date", "TTM"], "roa": []}
    assert looked_for_too("TTM and ROA", own) == {"TTM": ["time to market", "launch date"]}
    assert looked_for_too("FX", {"fx": ["effects"]}) == {"FX": ["effects"]}


def test_what_is_looked_for_too_goes_with_the_question_and_is_told() -> None:
    asked = Query("1", "R&D, then FX")
    found = widened(Wording(asked, ("a note",)), {"fx": ["effects"]})
    assert found.query == Query("1", "R&D, then FX", also=("research and development", "effects"))
    assert found.query.whole == "R&D, then FX; research and development; effects"
    assert found.notes == (
        "a note",
        "“R&D” also searches for “research and development”",
        "“FX” also searches for “effects”",
    )
    cats = Wording(Query("1", "cats"))
    assert widened(cats, {}) == cats
    assert cats.query.whole == "cats"
    assert widened(Wording(Query("1", "ROA")), {}).notes == (
        "“ROA” also searches for “return on assets”, “net income”, “total assets” and 2 more",
    )


def test_a_misspelled_phrase_is_looked_up_as_it_was_meant() -> None:
    wrong = spelled(Query("1", "return on aseets"), {"aseets": "assets"}.get)
    found = widened(wrong, {})
    assert found.query.text == "return on aseets assets"
    assert found.query.also == ("net income", "total assets", INCOME, BALANCE)
