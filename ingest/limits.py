"""What a document may cost."""

import math
from dataclasses import dataclass

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a page becomes and what reading it may cost before it is refused.

    Attributes:
        dpi: resolution of a rendered page, where `max_pixels` allows it.
        max_pixels: pixels of a rendered page; larger ones are scaled down, whatever their size in points.
        max_side_px: longest side of a rendered page.
        min_side_px: a page whose longest side would be shorter is enlarged to it, up to `max_zoom`.
        max_zoom: most pixels a point of the page.
        max_pages: a document with more is refused (`too_many_pages`).
        max_bytes: a file with more is refused (`too_large`).
        max_image_pixels: an image file with more is refused before it is decoded (`too_large`).
        max_words: words kept of one page's text layer.
        page_cpu_s: processor seconds for one page.
        page_timeout_s: seconds on the clock for one page.
        open_timeout_s: further seconds, of both kinds, for opening a document.
        memory_bytes: address space of one worker process.
        max_output_bytes: what a worker may return for one page, and the largest file it may write.
        max_open_files: file descriptors of one worker process.
        costly_pages_in_a_row: after so many pages in a row that ran out of time or memory, or crashed, the
            rest of the document is given up.
        failed_pages_in_a_row: the same for pages that failed for any reason.
        pages_per_worker: a worker is replaced after so many pages, so that no leak lasts.
        jpeg_quality: of pages that are stored as JPEG, 1 to 95.
    """

    dpi: int = 150
    max_pixels: int = 2_200_000
    max_side_px: int = 16_000
    min_side_px: int = 512
    max_zoom: float = 16.0
    max_pages: int = 10_000
    max_bytes: int = 2048 * MEBIBYTE
    max_image_pixels: int = 120_000_000
    max_words: int = 50_000
    page_cpu_s: int = 20
    page_timeout_s: float = 60.0
    open_timeout_s: float = 60.0
    memory_bytes: int = 1024 * MEBIBYTE
    max_output_bytes: int = 32 * MEBIBYTE
    max_open_files: int = 64
    costly_pages_in_a_row: int = 5
    failed_pages_in_a_row: int = 100
    pages_per_worker: int = 2_000
    jpeg_quality: int = 85

    def zoom(self, width_pt: float, height_pt: float) -> float:
        """Pixels a point for a page of this size: `dpi` where the pixel limits allow it.

        Raises:
            ValueError: a side is not above zero.
        """
        if not (width_pt > 0 and height_pt > 0):
            raise ValueError(f"a page needs two sides above zero, not {width_pt} x {height_pt} points")
        longest = max(width_pt, height_pt)
        wanted = max(self.dpi / 72, min(self.min_side_px / longest, self.max_zoom))
        by_area = math.sqrt(self.max_pixels / (width_pt * height_pt))
        return min(wanted, by_area, self.max_side_px / longest)
