"""PDFs that are made to hurt: each function returns the bytes of one."""

import io
import struct
import zlib

CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [%s] >>"


def pdf(*objects: bytes) -> bytes:
    """Objects 1, 2, ... with a cross-reference table; object 1 is the catalogue."""
    out = io.BytesIO()
    out.write(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    out.write(b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start))
    return out.getvalue()


def stream(data: bytes, entries: bytes = b"", *, packed: int = 0) -> bytes:
    """A stream object, deflated so many times."""
    for _ in range(packed):
        data = zlib.compress(data, 9)
    filters = b"/Filter [%s]" % (b"/FlateDecode " * packed) if packed else b""
    return b"<< /Length %d %s %s >>\nstream\n%s\nendstream" % (len(data), filters, entries, data)


def one_page(
    content: bytes,
    *more: bytes,
    resources: bytes = b"",
    box: str = "0 0 612 792",
    packed: int = 1,
    times: int = 1,
) -> bytes:
    """So many pages with this content; `more` are objects from number 5 on."""
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [%s] /Contents 4 0 R /Resources << %s >> >>"
    page %= (box.encode(), resources)
    others = range(5 + len(more), 4 + len(more) + times)
    kids = b" ".join(b"%d 0 R" % number for number in (3, *others))
    pages = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (times, kids)
    return pdf(CATALOG, pages, page, stream(content, packed=packed), *more, *(page for _ in others))


def nested_forms(depth: int = 12, width: int = 10) -> bytes:
    """Form XObjects that each draw the next one `width` times: width ** depth drawings in a kilobyte."""
    entry = b"/Type /XObject /Subtype /Form /BBox [0 0 612 792]"
    forms = []
    for level in range(depth):
        link = b"/Resources << /XObject << /F %d 0 R >> >>" % (6 + level)
        forms.append(stream(b"/F Do " * width, entry + link))
    forms.append(stream(b"0 0 9 9 re f", entry))
    return one_page(b"/F Do", *forms, resources=b"/XObject << /F 5 0 R >>")


def long_content(megabytes: int = 400, times: int = 1) -> bytes:
    """Hundreds of megabytes of drawing, deflated twice into a few kilobytes."""
    line = b"0 0 m 600 700 l S\n"
    return one_page(line * (megabytes * 1_000_000 // len(line)), packed=2, times=times)


def giant_image(side: int = 100_000) -> bytes:
    """An image that says it has side x side pixels of colour."""
    entry = b"/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 8 /ColorSpace /DeviceRGB"
    image = stream(b"\0" * 4_000_000, entry % (side, side), packed=2)
    return one_page(b"600 0 0 700 0 0 cm /I Do", image, resources=b"/XObject << /I 5 0 R >>")


def looping_tree() -> bytes:
    """A page tree that holds itself."""
    return pdf(CATALOG, b"<< /Type /Pages /Count 3 /Kids [3 0 R 2 0 R] >>", PAGE % b"0 0 99 99")


def many_pages(count: int) -> bytes:
    """So many pages, each with its number written on it."""
    first = 4
    kids = b" ".join(b"%d 0 R" % (first + 2 * index) for index in range(count))
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    objects = [CATALOG, b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids), font]
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents %d 0 R "
        b"/Resources << /Font << /F 3 0 R >> >> >>"
    )
    for index in range(count):
        objects.append(page % (first + 2 * index + 1))
        objects.append(stream(b"BT /F 40 Tf 20 90 Td (%d) Tj ET" % (index + 1)))
    return pdf(*objects)


def deep_tree(depth: int = 100_000) -> bytes:
    """A page at the end of a chain of page-tree nodes."""
    node = b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>"
    return pdf(CATALOG, *(node % (3 + level) for level in range(depth)), PAGE % b"0 0 99 99")


def deep_arrays(depth: int = 2_000_000) -> bytes:
    """An object, and a content stream, of nothing but opening brackets."""
    return one_page(b"[" * depth, b"[" * depth, resources=b"/Deep 5 0 R")


def deep_states(depth: int = 20_000_000) -> bytes:
    """Graphics states saved and never restored."""
    return one_page(b"q " * depth, packed=2)


def huge_page(box: str = "0 0 595 2147483648") -> bytes:
    """A page whose size is absurd, with a line across it."""
    return one_page(b"0 0 m 500 500 l S", box=box)


def fine_pattern() -> bytes:
    """A tile a millionth of a point wide, to be repeated over the page."""
    tile = stream(
        b"0 0 1 1 re f",
        b"/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.000001 "
        b"/YStep 0.000001 /Resources << >>",
    )
    return one_page(b"/Pattern cs /P scn 0 0 612 792 re f", tile, resources=b"/Pattern << /P 5 0 R >>")


def nested_groups(depth: int = 400) -> bytes:
    """Transparency groups in transparency groups, each wanting a canvas of its own."""
    entry = b"/Type /XObject /Subtype /Form /BBox [0 0 612 792] /Group << /S /Transparency /I true /K true >>"
    forms = []
    for level in range(depth):
        link = b"/Resources << /XObject << /F %d 0 R >> /ExtGState << /G << /ca 0.5 /BM /Multiply >> >> >>"
        forms.append(stream(b"/G gs /F Do", entry + link % (6 + level)))
    forms.append(stream(b"0 0 9 9 re f", entry))
    return one_page(b"/F Do", *forms, resources=b"/XObject << /F 5 0 R >>")


def endless_text(words: int = 3_000_000) -> bytes:
    """Millions of words on a page."""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    content = b"BT /F 1 Tf 10 10 Td " + b"(word ) Tj 1 0 Td " * words + b"ET"
    return one_page(content, font, resources=b"/Font << /F 5 0 R >>", packed=2)


def png_bomb(side: int = 60_000) -> bytes:
    """A PNG of side x side pixels, all black, in a few kilobytes of honest data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    header = struct.pack("!IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 10**6))
        + chunk(b"IEND", b"")
    )
