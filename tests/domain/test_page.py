import pytest

from domain.page import Page, document_of, number_of, page_id


def test_a_page_is_named_by_its_document_and_four_digits() -> None:
    assert Page("report", 7, 10, 20).id == "report/0007"
    assert page_id("report", 12345) == "report/12345"


def test_a_page_id_gives_its_parts_back() -> None:
    assert document_of("a/b/0012") == "a/b"
    assert number_of("a/b/0012") == 12


@pytest.mark.parametrize(("doc", "number"), [("", 1), ("doc", 0), ("doc", -3)])
def test_a_page_without_document_or_number_is_refused(doc: str, number: int) -> None:
    with pytest.raises(ValueError, match="a page needs a document and a number from 1"):
        page_id(doc, number)


@pytest.mark.parametrize("text", ["", "doc", "/0001", "doc/", "doc/x1"])
def test_a_text_that_is_no_page_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a page id"):
        number_of(text)
