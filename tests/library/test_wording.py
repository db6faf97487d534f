"""Questions in a library: misspelled, and with a word on how to answer."""

from dataclasses import replace
from pathlib import Path

from library.library import Library
from library.options import SearchOptions
from library.settings import Settings
from tests.pdfs import Sheet, write_pdf

SETTINGS = Settings(encoder="colour", reranker="none", arms=("lexical",), workers=1, ocr=False)


def test_misspelled_words_are_found_and_said_and_the_form_of_the_answer_is_not_searched_for(
    tmp_path: Path,
) -> None:
    sheets = [
        Sheet("red", "sunflower prices rose"),
        Sheet("blue", "answers in millions are round decimals"),
    ]
    file = write_pdf(tmp_path / "a.pdf", sheets)
    other = write_pdf(tmp_path / "b.pdf", [Sheet("green", "sunflowers bloom")])
    asked = "How did sunflwoer prices change? Round your answer to two decimals."
    with Library.open(tmp_path / "library", SETTINGS) as library:
        library.index([file])
        library.index([other], collection="flowers")
        found = library.search(asked, SearchOptions(collection="default"))
        assert found.query == asked
        assert [hit.page for hit in found.hits] == [1]
        assert found.notes == ("no page says “sunflwoer”: “sunflower” is searched for too",)
        assert "sunflower" in found.hits[0].snippet
        there = library.search("sunflwoer", SearchOptions(collection="flowers"))
        assert [hit.document for hit in there.hits] == ["b"]
    with Library.open(tmp_path / "library", replace(SETTINGS, tidy_questions=False)) as library:
        plain = library.search(asked, SearchOptions(collection="default"))
        assert [hit.page for hit in plain.hits] == [2, 1]
        assert plain.notes == ()


def test_a_question_is_answered_by_what_pages_say_in_its_place(tmp_path: Path) -> None:
    sheets = [
        Sheet("red", "assets of our people"),
        Sheet("blue", "consolidated balance sheets"),
        Sheet("green", "blood pressure over a day"),
    ]
    file = write_pdf(tmp_path / "a.pdf", sheets)
    with Library.open(tmp_path / "library", SETTINGS) as library:
        library.index([file])
        found = library.search("total assets")
        assert [hit.page for hit in found.hits] == [2, 1]
        assert found.notes == ("“total assets” also searches for “consolidated balance sheets”",)
        assert not library.search("ABPM").hits
    own = replace(SETTINGS, vocabulary={"ABPM": ["blood pressure"], "total assets": []})
    with Library.open(tmp_path / "library", own) as library:
        assert [hit.page for hit in library.search("ABPM").hits] == [3]
        assert [hit.page for hit in library.search("total assets").hits] == [1]


def test_an_english_word_is_read_as_its_other_spelling_alone(tmp_path: Path) -> None:
    file = write_pdf(
        tmp_path / "a.pdf", [Sheet("red", "a carton of milk"), Sheet("blue", "the color of hope")]
    )
    with Library.open(tmp_path / "library", SETTINGS) as library:
        library.index([file])
        assert library.search("Cartoon").notes == ()
        assert not library.search("Cartoon").hits
        assert library.search("cartom").notes == ("no page says “cartom”: “carton” is searched for too",)
        assert [hit.page for hit in library.search("Which Colour?").hits] == [2]


def test_a_word_of_the_vocabulary_is_not_taken_for_a_misspelled_one(tmp_path: Path) -> None:
    file = write_pdf(tmp_path / "a.pdf", [Sheet("red", "the cape of good hope"), Sheet("blue", "net income")])
    with Library.open(tmp_path / "library", SETTINGS) as library:
        library.index([file])
        assert not any("“cape”" in note for note in library.search("capex").notes)
        assert any("“cape”" in note for note in library.search("capes or capem").notes)
        assert library.search("netincome").hits[0].page == 2
