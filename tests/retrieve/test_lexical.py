"""The lexical arm: what is found, what is refused, what survives."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from domain.errors import BusyError, StoreError
from domain.page import Hit, page_id
from retrieve.lexical import LexicalIndex, LexicalPage


def page(doc: str, number: int, text: str, title: str = "", metadata: str = "") -> LexicalPage:
    return LexicalPage(page_id(doc, number), title, metadata, text)


PAGES = [
    page("a", 1, "Purchases of property, plant and equipment were $1,577 million.", "3M_2018_10K"),
    page("a", 2, "Operating margin declined to 22.0 %; see drawing A-12/4.", "3M_2018_10K"),
    page("b", 1, "Purchases of property, plant and equipment were $1,420 million.", "3M_2022_10K"),
    page("b", 2, "Notre café paye les employés; running runners ran.", "café", "region: north"),
    page("c", 1, "東京都の人口は2020年に1400万人に達した。", "人口統計"),
    page("c", 2, "", "人口統計"),
]


@pytest.fixture
def index(tmp_path: Path) -> LexicalIndex:
    opened = LexicalIndex.open(tmp_path / "lexical", writable=True)
    opened.add(PAGES)
    opened.commit()
    return opened


def best(index: LexicalIndex, text: str) -> str:
    return index.search(text, k=1)[0].page


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("1577", "a/0001"),
        ("$1,577", "a/0001"),
        ("drawing A-12/4", "a/0002"),
        ("22.0% margin", "a/0002"),
        ("FY2022 purchases of PP&E", "b/0001"),
        ("capital purchases of 3M in the 2018 10-K", "a/0001"),
        ("cafe employes", "b/0002"),
        ("a runner", "b/0002"),
        ("north", "b/0002"),
        ("東京の人口", "c/0001"),
        ("1400万人", "c/0001"),
    ],
)
def test_codes_numbers_names_and_other_scripts_are_found(
    index: LexicalIndex, question: str, found: str
) -> None:
    assert best(index, question) == found


def test_a_page_under_a_heading_comes_before_one_of_the_same_words(tmp_path: Path) -> None:
    under = "Contents\nCash flow statement\nRisks of the year\nOperations 5,439"
    beside = "Contents\nRisks of the year\nCash flow statement\nOperations 5,439"
    index = LexicalIndex.open(tmp_path / "lexical", writable=True)
    index.add([page("a", 1, under), page("b", 1, beside)])
    index.commit()
    assert [hit.page for hit in index.search("the cash flow statement", k=2)] == ["a/0001", "b/0001"]


def test_a_page_with_the_figure_comes_before_pages_that_refer_to_it(tmp_path: Path) -> None:
    index = LexicalIndex.open(tmp_path / "lexical", writable=True)
    figure = page("a", 1, "Growth is strong.\nIt was slow before.\nFig. 3: sales by region, in thousands")
    others = [page("b", number, f"{number} growth\nAs figure 3 shows\nsales rose") for number in range(4, 20)]
    index.add([figure, *others])
    index.commit()
    assert best(index, "the sales in Figure 3") == "a/0001"


def test_a_document_is_found_by_a_name_that_its_file_runs_together(index: LexicalIndex) -> None:
    index.add(
        [
            page("x", 1, "net debt, in short", "OTHER_2022"),
            page("y", 1, "net debt of ours", "BANKOFAMERICA_2022"),
        ]
    )
    index.commit()
    first, second = index.search("What is the net debt of Bank of America?", k=2)
    assert (first.page, second.page) == ("y/0001", "x/0001")
    assert first.score > 1.5 * second.score


def test_what_pages_say_in_place_of_a_question_counts_half(tmp_path: Path) -> None:
    index = LexicalIndex.open(tmp_path / "lexical", writable=True)
    index.add([page("a", 1, "net income", "assets"), page("b", 1, "wages fell"), page("c", 1, "")])
    index.commit()
    plain = index.search("net income", k=9)
    assert index.search("roa", k=9, also=["net income", "assets"]) == (
        Hit("a/0001", pytest.approx(plain[0].score / 2, rel=1e-6)),
    )
    assert index.search("net income", k=9, also=["net income"]) == plain
    found = index.search("wages fell", k=9, also=["net income"])
    assert [hit.page for hit in found] == ["b/0001", "a/0001"]


def test_the_exact_word_stands_before_its_other_forms(index: LexicalIndex) -> None:
    index.add([page("d", 1, "margins margins"), page("d", 2, "margin margin")])
    index.commit()
    both = frozenset({"d"})
    assert [hit.page for hit in index.search("margin", k=2, within=both)] == ["d/0002", "d/0001"]
    assert [hit.page for hit in index.search("margins", k=2, within=both)] == ["d/0001", "d/0002"]


@pytest.mark.parametrize(
    "text", ['title:"x', "margin AND (", "a:b^3~", "+margin -3M", "*", "margin\x00\ud800", "[1 TO"]
)
def test_a_question_is_never_a_query_language(index: LexicalIndex, text: str) -> None:
    assert all(isinstance(hit, Hit) for hit in index.search(text, k=5))


def test_no_shared_word_finds_nothing(index: LexicalIndex) -> None:
    assert index.search("zebra", k=5) == ()
    assert index.search("", k=5) == ()
    assert index.search("margin", k=0) == ()


def test_the_filter_is_exact_and_changes_no_score(index: LexicalIndex) -> None:
    everywhere = {hit.page: hit.score for hit in index.search("purchases 2018", k=10)}
    inside = index.search("purchases 2018", k=10, within=frozenset({"b", "unknown"}))
    assert [hit.page for hit in inside] == ["b/0001"]
    assert inside[0].score == pytest.approx(everywhere["b/0001"])
    assert index.search("purchases", k=10, within=frozenset()) == ()


def test_ties_are_closed_before_cutting(index: LexicalIndex) -> None:
    index.add([page("same", number, "identical words") for number in range(1, 30)])
    index.commit()
    found = [hit.page for hit in index.search("identical", k=4)]
    assert found == ["same/0029", "same/0028", "same/0027", "same/0026"]


def test_adding_again_replaces_and_removing_really_removes(index: LexicalIndex) -> None:
    index.add([page("a", 1, "something else entirely")])
    index.remove(["a/0002", "never/0001"])
    index.remove_documents(["c", "never"])
    index.commit()
    assert index.pages() == {"a/0001", "b/0001", "b/0002"}
    assert len(index) == 3
    assert best(index, "entirely") == "a/0001"
    assert index.search("東京", k=5) == ()


def test_nothing_is_visible_before_the_commit(index: LexicalIndex) -> None:
    index.add([page("new", 1, "unseen")])
    assert index.search("unseen", k=1) == ()
    index.commit()
    assert best(index, "unseen") == "new/0001"


def test_a_reader_sees_a_commit_after_refresh(index: LexicalIndex) -> None:
    reader = LexicalIndex.open(index.directory)
    index.add([page("new", 1, "unseen")])
    index.commit()
    reader.refresh()
    assert best(reader, "unseen") == "new/0001"
    with pytest.raises(StoreError, match="opened for reading"):
        reader.add(PAGES)


def test_a_second_writer_is_refused_until_the_first_closes(index: LexicalIndex) -> None:
    with pytest.raises(BusyError, match="another process writes"):
        LexicalIndex.open(index.directory, writable=True)
    index.close()
    again = LexicalIndex.open(index.directory, writable=True)
    assert again.pages() == {own.id for own in PAGES}


def _files(directory: Path) -> list[Path]:
    return sorted(
        path for path in directory.iterdir() if path.stat().st_size and not path.name.startswith(".")
    )


def test_every_damaged_file_is_refused_by_readers_and_emptied_by_the_writer(
    index: LexicalIndex, tmp_path: Path
) -> None:
    assert index.verify() is None
    index.close()
    # a copy: the open index maps its files, and a thread of tantivy's reads them when they change
    directory = Path(shutil.copytree(index.directory, tmp_path / "copy"))
    for path in _files(directory):
        whole = path.read_bytes()
        middle = len(whole) // 2
        for damaged in (whole[:middle] + bytes([whole[middle] ^ 4]) + whole[middle + 1 :], whole[:-1], None):
            if damaged is None:
                path.unlink()
            else:
                path.write_bytes(damaged)
            with pytest.raises(StoreError, match="verify --repair"):
                LexicalIndex.open(directory)
        path.write_bytes(whole)
    reader = LexicalIndex.open(Path(shutil.copytree(directory, tmp_path / "whole")))
    assert len(reader) == len(PAGES)
    _files(directory)[0].write_bytes(b"")
    emptied = LexicalIndex.open(directory, writable=True)
    assert emptied.pages() == frozenset()
    emptied.add(PAGES)
    emptied.commit()
    assert best(emptied, "1577") == "a/0001"
    assert emptied.verify() is None


def test_an_absent_index_is_refused_by_a_reader(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not complete"):
        LexicalIndex.open(tmp_path / "none")


def test_many_commits_leave_few_files(tmp_path: Path) -> None:
    index = LexicalIndex.open(tmp_path / "lexical", writable=True)
    for number in range(1, 21):
        index.add([page("a", number, f"word{number}")])
        index.commit()
    assert len(index) == 20
    assert len(_files(index.directory)) < 60
    assert index.verify() is None


LIMITED = """
import resource, sys
from pathlib import Path
from domain.errors import FullDiskError
from retrieve.lexical import LexicalIndex, LexicalPage

def page(number, words):
    return LexicalPage(f"d/{number:04d}", "", "", " ".join(f"w{number}x{word}" for word in range(words)))

index = LexicalIndex.open(Path(sys.argv[1]), writable=True)
index.add([page(1, 5)])
index.commit()
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, resource.RLIM_INFINITY))  # as on a full disk
for _ in range(2):
    try:
        index.add([page(number, 500) for number in range(2, 40)])
        index.commit()
    except FullDiskError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
index.add([page(50, 5)])
index.commit()
print(sorted(index.pages()), index.verify())
"""


def test_a_writer_that_found_no_room_is_replaced_and_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "lexical")],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    *full, left = done.stdout.splitlines()
    assert [line[:16] for line in full] == ["the disk is full"] * 2
    assert left == "['d/0001', 'd/0050'] None"


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("Equipmnt", "equipment"),  # one missing
        ("equippment", "equipment"),  # one too many
        ("opreating", "operating"),  # two in each other's place
        ("marzin", "margin"),
        ("proprety", "property"),
        ("purchses", "purchases"),
        ("purcheses", "purchases"),
        ("opreatinq", "operating"),  # two of nine letters
        ("equipment", None),  # pages hold it
        ("running", None),  # and this by its stem
        ("runner", None),
        ("café", None),
        ("employes", None),  # without its accent
        ("proprtey", None),  # two of eight letters
        ("xroperty", None),  # another first letter
        ("zebra", None),
        ("東京都の人口", None),
        ("drawingg", "drawing"),
    ],
)
def test_a_misspelled_word_is_read_as_the_one_most_like_it_on_pages(
    index: LexicalIndex, word: str, found: str | None
) -> None:
    assert index.nearest(word) == found


def test_words_of_other_documents_are_neither_known_nor_offered(index: LexicalIndex) -> None:
    assert index.nearest("marzin", within=frozenset({"b"})) is None
    assert index.nearest("equipmnt", within=frozenset({"b"})) == "equipment"
    index.add([page("d", 1, "a martin in the sky; marten"), page("d", 2, "martin")])
    index.commit()
    assert index.nearest("margin", within=frozenset({"d"})) == "martin"  # "margin" stands in others
    assert index.nearest("margin") is None
    assert index.nearest("marzin", within=frozenset()) is None


def test_a_word_run_together_is_read_as_the_words_that_stand_side_by_side(index: LexicalIndex) -> None:
    index.add([page("d", 1, "Best Buy and American Water Works; a buy, cheap, the best water")])
    index.add([page("d", 2, "the cashflows of a cash flow"), page("e", 1, "the best, never buying")])
    index.commit()
    assert index.nearest("bestbuy") == "best buy"
    assert index.nearest("americanwaterworks") == "american water works"
    assert index.nearest("cashflow") is None  # its stem is that of "cashflows"
    assert index.nearest("buybest") is None  # both are held, but never so
    assert index.nearest("bestbuy", within=frozenset({"e"})) is None
    assert index.nearest("waterfor") == "water"
    assert index.nearest("best" + 36 * "water") is None
    assert index.nearest("forbuy") is None  # too short to be told from a word


def test_of_two_that_are_alike_it_is_the_one_on_more_pages(index: LexicalIndex) -> None:
    index.add([page("d", n, "sonnet") for n in (1, 2)] + [page("d", 3, "bonnet sonned")])
    index.commit()
    assert index.nearest("sonnem") == "sonnet"
