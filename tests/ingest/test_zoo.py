"""The acceptance set: odd PDFs from the wild, each with what three reference tools make of it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from domain.errors import DocumentError
from ingest.render import FailedPage, Rendered, Renderer

ZOO = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "pdfzoo"
ENTRIES: list[dict[str, Any]] = (
    json.loads((ZOO / "manifest.json").read_text()) if (ZOO / "manifest.json").exists() else []
)

pytestmark = pytest.mark.skipif(not ENTRIES, reason="the set of odd PDFs is not on this machine")


@dataclass(frozen=True)
class Outcome:
    pages: tuple[Rendered | FailedPage, ...] = ()
    refused: DocumentError | None = None


@pytest.fixture(scope="module")
def outcome(renderer: Renderer):
    seen: dict[str, Outcome] = {}

    def read(name: str) -> Outcome:
        if name not in seen:
            try:
                pages = renderer.probe(ZOO / name).pages
                seen[name] = Outcome(tuple(renderer.pages(ZOO / name, range(1, pages + 1))))
            except DocumentError as error:
                seen[name] = Outcome(refused=error)
        return seen[name]

    return read


def named(*, expect: str, locked: bool) -> list[dict[str, Any]]:
    return [entry for entry in ENTRIES if entry["expect"] == expect and bool(entry["password"]) == locked]


def name_of(entry: dict[str, Any]) -> str:
    return str(entry["file"])


@pytest.mark.parametrize("entry", named(expect="ok", locked=False), ids=name_of)
def test_what_a_reference_tool_renders_is_rendered_whole(entry, outcome):
    found = outcome(entry["file"])
    assert found.refused is None
    assert [page.number for page in found.pages] == list(range(1, entry["pages"] + 1))
    assert all(isinstance(page, Rendered) for page in found.pages)


@pytest.mark.parametrize("entry", named(expect="ok", locked=True), ids=name_of)
def test_what_needs_a_password_says_so_and_how_to_remove_it(entry, outcome):
    found = outcome(entry["file"])
    assert found.refused is not None
    assert found.refused.code == "encrypted"
    assert "qpdf" in str(found.refused)


@pytest.mark.parametrize("entry", named(expect="fail", locked=False), ids=name_of)
def test_what_no_reference_tool_renders_is_repaired_or_fails_with_a_code_and_a_remedy(entry, outcome):
    found = outcome(entry["file"])
    failures = [page.failure for page in found.pages if isinstance(page, FailedPage)]
    drawn = [page for page in found.pages if isinstance(page, Rendered)]
    if found.refused is not None:
        assert entry["file"] in str(found.refused)
        assert ";" in str(found.refused)
    else:
        assert failures or drawn
        assert all(";" in failure.message for failure in failures)
    if "encrypted" in entry["tags"]:
        assert found.refused is not None
        assert found.refused.code == "encrypted"


@pytest.mark.parametrize("entry", named(expect="partial", locked=False), ids=name_of)
def test_what_is_damaged_in_part_gives_the_pages_that_are_left(entry, outcome):
    found = outcome(entry["file"])
    drawn = [page for page in found.pages if isinstance(page, Rendered)]
    assert len(drawn) >= entry["pypdfium2"]["rendered_ok"]
    assert len(found.pages) == entry["pages"]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("zero_bytes.pdf", "empty"),
        ("zero_pages_qpdf.pdf", "empty"),
        ("html_renamed.pdf", "unsupported"),
        ("truncated_half.pdf", "corrupt"),
        ("truncated_tail.pdf", "corrupt"),
        ("encrypted_public_key.pdf", "encrypted"),
        ("encrypted_needs_password.pdf", "encrypted"),
    ],
)
def test_a_refusal_has_the_code_that_tells_what_is_wrong(name, code, outcome):
    assert outcome(name).refused.code == code


@pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if entry["expect"] == "ok" and not entry["password"]], ids=name_of
)
def test_a_text_layer_is_found_where_the_reference_tool_finds_one(entry, outcome):
    if entry["file"] == "cyrillic_greek_mixed.pdf":
        pytest.skip("its fonts map to no characters: what the reference tool reads is noise")
    page = outcome(entry["file"]).pages[0]
    letters = sum(len(word.text) for word in page.words)
    if entry["pypdfium2"]["pages"] == 1 and entry["pypdfium2"]["chars"] > 100:
        assert letters > 0.5 * entry["pypdfium2"]["chars"]
    if entry["pypdfium2"]["chars"] == 0 and "form" not in entry["tags"]:
        assert letters < 100


@pytest.mark.parametrize("entry", [e for e in ENTRIES if "blank_page" in e["tags"]], ids=name_of)
def test_a_blank_page_is_marked(entry, outcome):
    assert any(page.blank for page in outcome(entry["file"]).pages)


@pytest.mark.parametrize("name", ["edgar_rotated90.pdf", "chinese_rotated.pdf", "invisible_text.pdf"])
def test_a_page_with_text_is_not_blank(name, outcome):
    assert not any(page.blank for page in outcome(name).pages)
