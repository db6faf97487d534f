"""Documents made to hurt cost their page, some time and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from domain.errors import DocumentError
from ingest.render import FailedPage, Rendered, Renderer, render
from tests.ingest import bombs
from tests.ingest.conftest import TIGHT

NOISY = b"".join(b"%d %d 1 1 re f " % (x, y) for x in range(0, 600, 9) for y in range(0, 700, 9))
HARMLESS = bombs.one_page(b"0 0 300 300 re f")

COSTLY = {
    "form XObjects that multiply": bombs.nested_forms,
    "hundreds of megabytes of content": lambda: bombs.long_content(60),
    "a pattern of a million tiles an inch": bombs.fine_pattern,
}
ODD = {
    "an image of ten thousand megapixels": bombs.giant_image,
    "arrays two million deep": bombs.deep_arrays,
    "graphics states five million deep": lambda: bombs.deep_states(5_000_000),
    "four hundred nested transparency groups": bombs.nested_groups,
    "a page tree a hundred thousand deep": bombs.deep_tree,
    "half a million words": lambda: bombs.endless_text(500_000),
}


def peak_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize("name", COSTLY)
def test_a_bomb_fails_with_a_code_and_the_next_document_is_rendered(name, tight, saved):
    path = saved(COSTLY[name]())
    assert tight.probe(path).pages == 1
    (page,) = tight.pages(path, [1])
    assert isinstance(page, FailedPage)
    assert page.failure.code in {"timeout", "too_large", "crashed"}
    assert ";" in page.failure.message
    (after,) = tight.pages(saved(HARMLESS, "harmless.pdf"), [1])
    assert isinstance(after, Rendered)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_document_gives_a_page_or_a_failure_within_its_memory(name, tight, saved):
    path = saved(ODD[name]())
    try:
        pages = list(tight.pages(path, range(1, tight.probe(path).pages + 1)))
        assert len(pages) == 1
    except DocumentError as error:
        assert error.code in {"corrupt", "crashed", "too_large", "timeout"}  # noqa: PT017  either is right
    assert all(peak_bytes(pid) <= TIGHT.memory_bytes for pid in tight.pids)


def test_a_page_tree_that_holds_itself_gives_its_real_page(renderer, saved):
    path = saved(bombs.looping_tree())
    pages = list(renderer.pages(path, range(1, renderer.probe(path).pages + 1)))
    assert isinstance(pages[0], Rendered)
    assert all(page.failure.code == "corrupt" for page in pages[1:])


def test_a_page_two_thousand_million_points_tall_shows_what_is_drawn_on_it(renderer, saved):
    (page,) = renderer.pages(saved(bombs.huge_page()), [1])
    assert isinstance(page, Rendered)
    assert page.width_px * page.height_px <= 2_200_000
    assert not page.blank
    assert 0.5 < page.width_px / page.height_px < 2


def test_ten_thousand_pages_are_taken_and_one_more_is_refused(renderer, saved):
    path = saved(bombs.many_pages(10_000))
    assert renderer.probe(path).pages == 10_000
    found = [page.text for page in renderer.pages(path, [1, 5_000, 10_000])]
    assert found == ["1", "5000", "10000"]
    with pytest.raises(DocumentError, match="10,001 pages") as caught:
        renderer.probe(saved(bombs.many_pages(10_001)))
    assert caught.value.code == "too_many_pages"


def test_a_document_of_nothing_but_bombs_is_given_up_after_a_few_pages(saved):
    count = 40
    data = bombs.one_page(NOISY, times=count)
    limits = replace(TIGHT, max_output_bytes=2_000, costly_pages_in_a_row=2)
    pages = list(render(saved(data), range(1, count + 1), limits, workers=1))
    assert [page.number for page in pages] == list(range(1, count + 1))
    assert all(isinstance(page, FailedPage) for page in pages)
    tried = [page for page in pages if "not tried" not in page.failure.message]
    assert 2 <= len(tried) <= 6


def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_decoded(renderer, saved):
    with pytest.raises(DocumentError, match="60,000 x 60,000") as caught:
        renderer.probe(saved(bombs.png_bomb(), "bomb.png"))
    assert caught.value.code == "too_large"


def test_an_answer_larger_than_allowed_costs_its_page(saved):
    limits = replace(TIGHT, max_output_bytes=2_000)
    with Renderer(limits, workers=1) as small:
        (page,) = small.pages(saved(bombs.one_page(NOISY)), [1])
    assert page.failure.code == "too_large"
