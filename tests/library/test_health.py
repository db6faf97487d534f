"""Damage is found, named and mended; it never becomes a different ranking."""

import shutil
from pathlib import Path

from library.library import Library
from library.options import SearchOptions
from library.settings import Settings

VISUAL = SearchOptions(arms=("visual",))


def filled(tmp_path: Path, settings: Settings, rainbow: Path) -> Path:
    with Library.open(tmp_path / "library", settings) as library:
        library.index([rainbow])
    return tmp_path / "library"


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x40
    path.write_bytes(data)


def test_a_whole_library_has_nothing_to_report(tmp_path: Path, settings: Settings, rainbow: Path) -> None:
    with Library.open(filled(tmp_path, settings, rainbow)) as library:
        report = library.verify()
    assert report.damaged == ()
    assert report.checked["pages"] == 5
    assert report.checked["visual pages"] == 4


def test_a_lost_lexical_index_fills_itself_again(tmp_path: Path, settings: Settings, rainbow: Path) -> None:
    place = filled(tmp_path, settings, rainbow)
    shutil.rmtree(place / "lexical")
    with Library.open(place) as library:
        assert library.search("sunflower", SearchOptions(arms=("lexical",))).hits[0].page == 5


def test_lost_vectors_are_embedded_again(tmp_path: Path, settings: Settings, rainbow: Path) -> None:
    place = filled(tmp_path, settings, rainbow)
    shutil.rmtree(place / "vectors")
    with Library.open(place) as library:
        assert library.search("yellow", VISUAL).hits[0].page == 5


def test_a_page_that_an_arm_lost_without_a_trace_is_found_and_added_again(
    tmp_path: Path, settings: Settings, rainbow: Path
) -> None:
    with Library.open(filled(tmp_path, settings, rainbow)) as library:
        with library._stores.writing() as arms:
            arms["visual"].remove([f"{library.documents()[0].id}/0001"])
            library._stores.mark_synced(arms["visual"])
        assert library.verify().damaged == ("visual: 1 pages are missing",)
        assert library.verify(repair=True).repaired == ("visual: 1 missing pages added",)
        assert library.verify().damaged == ()
        assert library.search("red", VISUAL).hits[0].page == 1


def test_damaged_vectors_are_found_and_repaired(tmp_path: Path, settings: Settings, rainbow: Path) -> None:
    place = filled(tmp_path, settings, rainbow)
    flip(next((place / "vectors").rglob("*.tokens")), at=130)  # the second number of the first vector
    with Library.open(place) as library:
        assert library.verify().damaged
        assert library.verify(repair=True).repaired
    with Library.open(place) as library:
        assert library.verify().damaged == ()
        assert [library.search(colour, VISUAL).hits[0].page for colour in ("red", "yellow")] == [1, 5]


def test_damaged_pictures_are_rendered_again(tmp_path: Path, settings: Settings, rainbow: Path) -> None:
    place = filled(tmp_path, settings, rainbow)
    picture = next(path for path in (place / "blobs").rglob("*.png"))
    flip(picture, at=60)
    with Library.open(place) as library:
        assert "damaged" in library.verify().damaged[0]
        assert library.verify(repair=True).lost == ()
        assert library.verify().damaged == ()


def test_a_lost_original_is_named(tmp_path: Path, settings: Settings, rainbow: Path) -> None:
    place = filled(tmp_path, settings, rainbow)
    next((place / "blobs").rglob("*.pdf")).unlink()
    with Library.open(place) as library:
        assert library.verify(repair=True).lost == ("rainbow.pdf",)
        assert library.search("red", VISUAL).hits[0].page == 1


def test_damaged_costs_are_learned_again(tmp_path: Path, settings: Settings, rainbow: Path) -> None:
    place = filled(tmp_path, settings, rainbow)
    (place / "costs.json").write_text("{not json")
    with Library.open(place) as library:
        assert library.search("red", VISUAL).hits[0].page == 1
