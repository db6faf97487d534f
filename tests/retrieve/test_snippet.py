"""The text around the match."""

from hypothesis import given
from hypothesis import strategies as st

from retrieve.snippet import LEADER, snippet

PAGE = (
    "Preface and thanks. " * 20
    + "In 2018 the operating margin of 3M was 22.0 %. "
    + "Other matters follow. " * 20
)


def test_it_shows_the_words_of_the_question_in_their_surroundings() -> None:
    found = snippet(PAGE, "What were 3M's operating margins in 2018?")
    assert "2018 the operating margin of 3M" in found
    assert found.startswith("… ")
    assert found.endswith(" …")


def test_words_of_the_title_do_not_outweigh_the_one_that_is_asked_for() -> None:
    page = "Descale it when the lamp blinks. " + "Fill the tank. " * 40 + "Marzo Espresso Machine: Manual, 3"
    query = "How do I descale the espresso machine?"
    assert "Espresso Machine" in snippet(page, query)
    assert snippet(page, query, title="Marzo Espresso Machine: Manual").startswith("Descale it")
    # where they are all that the page has, they are shown
    assert "Espresso Machine" in snippet(
        page.replace("Descale", "Clean"), query, title="Marzo Espresso Machine"
    )


def test_without_a_match_it_is_the_beginning() -> None:
    assert snippet(PAGE, "zebra").startswith("Preface and thanks.")


def test_a_page_without_text_has_none() -> None:
    assert snippet("", "margin") == snippet(" \n ", "margin") == ""


def test_a_short_page_is_shown_whole_on_one_line() -> None:
    assert snippet("Net\n income:\t 5", "income") == "Net income: 5"


def test_dots_of_a_table_of_contents_take_no_room() -> None:
    page = "Contents\n1 Margins " + "." * 120 + " 25\n2 Outlook ........ 31"
    assert snippet(page, "margins") == "Contents 1 Margins 25 2 Outlook 31"
    assert snippet("........", "margins") == ""


@given(text=st.text(max_size=400), query=st.text(max_size=40), width=st.integers(20, 200))
def test_it_is_made_of_whole_words_and_no_longer_than_asked(text: str, query: str, width: int) -> None:
    found = snippet(text, query, width=width)
    words = found.removeprefix("… ").removesuffix(" …").split()
    said = [word for word in text.split() if not LEADER.fullmatch(word)]
    assert " ".join(said).find(" ".join(words)) >= 0
    assert len(found) <= width or len(words) == 1
