import io
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pymupdf
import pytest
from PIL import Image

from ingest.layer import unpack
from ingest.limits import Limits
from ingest.pool import Pool
from ingest.probe import request
from ingest.process import Worker
from ingest.render import FailedPage, Rendered, Renderer, render
from ingest.sniff import sniff
from tests.ingest import bombs

BLACK = b"100 100 300 300 re f"
RED = b"1 0 0 rg 100 100 300 300 re f"


def document(*, pages: int = 1, rotation: int = 0, text: str = "Operating margin") -> bytes:
    """Pages of one line, a tenth from the left and a fifth from the top as a reader sees it."""
    whole = pymupdf.open()
    for _ in range(pages):
        page = whole.new_page(width=600, height=800)
        page.insert_text((60, 160), text, fontsize=20)
        page.set_rotation(rotation)
    data = bytes(whole.tobytes())
    whole.close()
    return data


@pytest.fixture(scope="module")
def pool():
    single = Pool(Limits(), 1)
    yield single
    single.close()


def picture(page: Rendered) -> Image.Image:
    return Image.open(io.BytesIO(page.image))


def test_pages_come_in_the_order_asked_for(renderer, saved):
    path = saved(bombs.many_pages(30))
    assert [page.number for page in renderer.pages(path, [7, 3, 30, 1])] == [7, 3, 30, 1]
    assert [page.text for page in renderer.pages(path, range(1, 31))] == [str(n) for n in range(1, 31)]


def test_no_pages_asked_for_are_no_pages(renderer, saved):
    assert list(renderer.pages(saved(document()), [])) == []


def test_a_page_outside_the_document_fails_alone(renderer, saved):
    first, second = renderer.pages(saved(document()), [9, 1])
    assert isinstance(first, FailedPage)
    assert isinstance(second, Rendered)


def test_a_page_has_the_size_of_its_resolution(renderer, saved):
    (page,) = renderer.pages(saved(document()), [1])
    assert (page.width_px, page.height_px) == (1250, 1667)
    assert picture(page).size == (1250, 1667)
    assert page.renderer == "mupdf"


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("engine", ["mupdf", "poppler", "pdfium"])
def test_words_stand_where_the_ink_is_on_the_upright_page(engine, rotation, pool, saved):
    path = saved(document(rotation=rotation))
    answer = pool.ask(request(path, sniff(path, pool.limits), engine, ask="page", number=1))
    cut = answer.fields["image_bytes"]
    image, layer = Image.open(io.BytesIO(answer.body[:cut])).convert("L"), unpack(answer.body[cut:])
    ink = image.point(lambda level: 255 if level < 128 else 0).getbbox()
    boxes = [word.box for word in layer.words]
    around = (
        min(box.x0 for box in boxes) * image.width, min(box.y0 for box in boxes) * image.height,
        max(box.x1 for box in boxes) * image.width, max(box.y1 for box in boxes) * image.height,
    )  # fmt: skip
    assert layer.text == answer.fields["text"] == "Operating margin"
    assert (image.width > image.height) == (rotation in {90, 270})
    assert all(abs(edge - side) < 25 for edge, side in zip(ink, around, strict=True))


def test_grey_pages_are_stored_in_grey_and_coloured_ones_in_colour(renderer, saved):
    (grey,) = renderer.pages(saved(bombs.one_page(BLACK), "grey.pdf"), [1])
    (red,) = renderer.pages(saved(bombs.one_page(RED), "red.pdf"), [1])
    assert picture(grey).mode == "L"
    assert picture(red).convert("RGB").getpixel((500, 1000)) == (255, 0, 0)


def test_flat_pages_become_png_and_rich_ones_jpeg(renderer, saved):
    (flat,) = renderer.pages(saved(bombs.one_page(BLACK), "flat.pdf"), [1])
    (rich,) = renderer.pages(saved(document(), "rich.pdf"), [1])
    assert (flat.media_type, rich.media_type) == ("image/png", "image/jpeg")
    assert flat.image.startswith(b"\x89PNG")
    assert rich.image.startswith(b"\xff\xd8")


def test_a_page_is_blank_only_without_ink_and_without_words(renderer, saved):
    invisible = b"BT 3 Tr /F 20 Tf 50 50 Td (hidden) Tj ET"
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    written = bombs.one_page(invisible, font, resources=b"/Font << /F 5 0 R >>")
    (empty,) = renderer.pages(saved(bombs.one_page(b""), "empty.pdf"), [1])
    (drawn,) = renderer.pages(saved(bombs.one_page(BLACK), "drawn.pdf"), [1])
    (hidden,) = renderer.pages(saved(written, "hidden.pdf"), [1])
    assert (empty.blank, drawn.blank, hidden.blank) == (True, False, False)
    assert hidden.text == "hidden"


def test_a_tiny_page_is_enlarged_and_a_large_one_is_held_to_the_pixel_limit(renderer, saved):
    (tiny,) = renderer.pages(saved(bombs.one_page(b"0 0 4 4 re f", box="0 0 8 8"), "tiny.pdf"), [1])
    (large,) = renderer.pages(saved(bombs.one_page(BLACK, box="0 0 9000 9000"), "large.pdf"), [1])
    assert (tiny.width_px, tiny.height_px) == (128, 128)
    assert 2_100_000 < large.width_px * large.height_px <= 2_210_000


def test_a_hyphenated_word_is_healed_in_the_text_and_kept_in_the_boxes(renderer, saved):
    (page,) = renderer.pages(saved(document(text="The amorti-\nsation of patents")), [1])
    assert page.text == "The amortisation of patents"
    assert [word.text for word in page.words] == ["The", "amorti-", "sation", "of", "patents"]


def test_chinese_japanese_and_korean_text_is_read(renderer, saved):
    whole = pymupdf.open()
    page = whole.new_page()
    for line, (text, font) in enumerate([("营业收入", "china-s"), ("売上高", "japan"), ("매출액", "korea")]):
        page.insert_text((60, 100 + 40 * line), text, fontname=font, fontsize=20)
    (read,) = renderer.pages(saved(bytes(whole.tobytes())), [1])
    assert read.text.split() == ["营业收入", "売上高", "매출액"]


def test_the_title_and_metadata_are_probed(renderer, saved):
    whole = pymupdf.open()
    whole.new_page()
    whole.set_metadata({"title": "Annual report", "author": "A. Person"})
    probe = renderer.probe(saved(bytes(whole.tobytes())))
    assert (probe.kind, probe.pages, probe.title) == ("pdf", 1, "Annual report")
    assert probe.metadata["author"] == "A. Person"


def test_only_a_few_pages_are_rendered_ahead_of_the_reader(saved):
    path = saved(document(pages=40))
    with Renderer(Limits(), workers=1) as single:
        pages = single.pages(path, range(1, 41))
        next(pages)
        time.sleep(1.0)
        begun = sum(worker.answers for worker in single._pool._living)
        assert begun <= 5
        pages.close()


def test_a_killed_worker_costs_at_most_the_page_it_was_on(saved):
    path = saved(document(pages=60))
    with Renderer(Limits(), workers=2) as pair:
        pages = pair.pages(path, range(1, 61))
        found = [next(pages) for _ in range(5)]
        os.kill(pair.pids[0], signal.SIGKILL)
        found += list(pages)
    assert [page.number for page in found] == list(range(1, 61))
    assert sum(isinstance(page, FailedPage) for page in found) <= 1


def test_a_worker_that_hangs_is_ended_by_the_clock_and_its_page_fails(saved):
    path = saved(document(pages=3))
    limits = Limits(page_timeout_s=3, open_timeout_s=60)
    with Renderer(limits, workers=1) as single:
        list(single.pages(path, [1]))
        os.kill(single.pids[0], signal.SIGSTOP)
        (stuck,) = single.pages(path, [2])
        (after,) = render(path, [3], Limits(), workers=1)
    assert isinstance(stuck, FailedPage)
    assert stuck.failure.code == "timeout"
    assert isinstance(after, Rendered)


def test_a_file_that_changed_under_its_name_is_read_anew(renderer, saved):
    (before,) = renderer.pages(saved(document(text="before")), [1])
    (after,) = renderer.pages(saved(document(text="afterwards")), [1])
    assert (before.text, after.text) == ("before", "afterwards")


def test_a_file_whose_name_is_not_utf8_is_read(renderer, tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/bilan \xe9\xff.pdf"))
    path.write_bytes(document())
    assert renderer.probe(path).pages == 1
    (page,) = renderer.pages(path, [1])
    assert isinstance(page, Rendered)


def test_two_threads_share_a_renderer(renderer, saved):
    path = saved(bombs.many_pages(20))
    found: dict[int, list[str]] = {}

    def read(key: int) -> None:
        found[key] = [page.text for page in renderer.pages(path, range(1, 21))]

    threads = [threading.Thread(target=read, args=(key,)) for key in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1] == [str(n) for n in range(1, 21)]


def test_leaving_a_rendering_half_way_ends_its_workers(saved):
    before = _children()
    pages = render(saved(document(pages=9)), range(1, 10), Limits(), workers=1)
    next(pages)
    assert len(_children() - before) == 1
    pages.close()
    assert _children() == before


def test_a_worker_that_two_threads_end_at_once_gives_its_pipe_back_once(monkeypatch):
    worker = Worker(Limits())
    closed: list[int] = []

    def slowly(end: int) -> None:
        time.sleep(0.1)
        closed.append(end)

    monkeypatch.setattr("ingest.process.os", SimpleNamespace(**{**vars(os), "close": slowly}))
    with ThreadPoolExecutor(2) as threads:
        for ended in [threads.submit(worker.kill) for _ in range(2)]:
            ended.result()
    os.close(closed[0])
    assert len(closed) == 1


@pytest.mark.slow
def test_memory_stays_flat_over_two_thousand_pages(saved):
    path = saved(document(pages=2_000))
    resident: list[int] = []
    before = _resident(os.getpid())  # what the tests before this one left in this process
    with Renderer(Limits(dpi=60), workers=2) as pair:
        for page in pair.pages(path, range(1, 2_001)):
            assert isinstance(page, Rendered)
            if page.number % 100 == 0:
                resident.append(sum(_resident(pid) for pid in (os.getpid(), *pair.pids)))
    assert max(resident[10:]) < 1.1 * max(resident[2:6])
    assert max(resident) - before < 600_000_000


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _children() -> set[str]:
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for task in tasks for pid in task.read_text().split()}
