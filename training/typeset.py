"""Sets text on pages in many fonts, sizes, columns, tables, slides and charts, and notes where each word went."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pymupdf
from numpy.typing import NDArray

from training.colours import Colour, colour, ink, mixed
from training.sample import Notes, Sample
from training.texts import Context, odd_word


@dataclass(slots=True)
class Faces:
    """Font files that hold Latin letters, opened when first used."""

    paths: Sequence[Path]
    opened: dict[Path | str, pymupdf.Font] = field(default_factory=dict)

    def draw(self, rng: random.Random) -> pymupdf.Font:
        """A random face; one of the PDF base fonts in a third of the draws, or where no file is given."""
        base = rng.choice(["helv", "tiro", "heit", "hebo", "tibo", "tiit", "cour"])
        if not self.paths or rng.random() < 0.3:
            return self._face(base)
        face = self._face(rng.choice(self.paths))
        if all(face.has_glyph(ord(letter)) for letter in "aegkmXQ0358,.%"):
            return face
        return self._face(base)

    def _face(self, name: Path | str) -> pymupdf.Font:
        if name not in self.opened:
            known = isinstance(name, str)
            self.opened[name] = pymupdf.Font(name) if known else pymupdf.Font(fontfile=str(name))
        return self.opened[name]


def font_files(directory: Path) -> list[Path]:
    """Every TrueType and OpenType file below a directory, in order; no emoji, symbol or music faces."""
    unwanted = ("emoji", "symbol", "music", "dingbat", "math", "ornament", "icon", "bullets")
    found = sorted((*directory.rglob("*.ttf"), *directory.rglob("*.otf")))
    return [path for path in found if not any(word in path.name.lower() for word in unwanted)]


@dataclass(slots=True)
class TextSource:
    """An endless supply of running words, titles and tables.

    Attributes:
        rare: words that are mixed in more often than they come.
        odd: how much of the text is numbers, codes and letter strings; 0 for none.
        print_px: the least and largest usual font size.
    """

    contexts: Sequence[Context]
    rare: Sequence[str]
    odd: float = 1.0
    print_px: tuple[float, float] = (10.0, 19.0)

    def words(self, rng: random.Random) -> Iterator[str]:
        """Words in reading order of one context after another, with rare and odd ones mixed in."""
        noise = self.odd * rng.choice([0.0, 0.05, 0.3, 0.9])
        while True:
            context = rng.choice(self.contexts)
            for word in context.everything.split():
                if rng.random() < noise:
                    yield odd_word(rng) if not self.rare or rng.random() < 0.4 else rng.choice(self.rare)
                else:
                    yield word

    def table(self, rng: random.Random) -> list[list[str]]:
        """A real table, or one of invented numbers."""
        for _ in range(4):
            rows = rng.choice(self.contexts).table
            if rows and rng.random() < 0.6:
                return [list(row) for row in rows]
        names = self.words(rng)
        columns = rng.randint(2, 7)
        cells = [odd_word(rng) if rng.random() < self.odd else next(names) for _ in range(40 * columns)]
        return [
            [" ".join(next(names) for _ in range(rng.randint(1, 4))), *cells[row::40]] for row in range(40)
        ]


class Sheet:
    """One page being set."""

    def __init__(self, rng: random.Random, faces: Faces, source: TextSource, size: tuple[int, int]) -> None:
        """`size` is width and height in pixels, which are also the page's points."""
        self.rng, self.faces, self.source = rng, faces, source
        self.document = pymupdf.open()
        self.page = self.document.new_page(width=size[0], height=size[1])
        self.notes = Notes()
        self.typical = float(np.exp(rng.uniform(*np.log(source.print_px))))

    def run(self, at: tuple[float, float], text: str, look: "Look") -> float:
        """Set a run without spaces with its base line starting at a point; gives its width."""
        text = "".join(letter for letter in text if look.has(letter))
        if not text:
            return 0.0
        steps = look.face.char_lengths(text, look.size)
        edges = [at[0]]
        for step in steps:
            edges.append(edges[-1] + step)
        look.writer.append(at, text, font=look.face, fontsize=look.size)
        self.notes.add(text, edges, (at[1] - 0.78 * look.size, at[1] + 0.22 * look.size), look.size)
        return edges[-1] - at[0]

    def look(self, ground: Colour, scale: float = 1.0) -> "Look":
        """A face, size and colour that can be told from the ground."""
        size = float(np.clip(self.typical * scale * self.rng.uniform(0.9, 1.1), 8.5, 34.0))
        writer = pymupdf.TextWriter(self.page.rect)
        return Look(self.faces.draw(self.rng), size, ink(self.rng, ground), writer)

    def lines(self, area: pymupdf.Rect, ground: Colour, scale: float = 1.0) -> None:
        """Fill an area with running text."""
        look, rng = self.look(ground, scale), self.rng
        leading = look.size * rng.uniform(1.08, 1.6)
        align = rng.choice(["left", "left", "justify", "centre", "right"])
        cases: list[Callable[[str], str]] = [*(str,) * 6, str.upper, str.title]
        case = rng.choice(cases)
        stream = self.source.words(rng)
        base = area.y0 + look.size
        while base < area.y1:
            base += self._line(area, base, look, (align, case), stream) * leading
        look.write(self.page)

    def _line(
        self,
        area: pymupdf.Rect,
        base: float,
        look: "Look",
        manner: tuple[str, Callable[[str], str]],
        stream: Iterator[str],
    ) -> float:
        space = look.size * 0.27
        taken: list[str] = []
        width = 0.0
        while width < area.width and len(taken) < 60:
            taken.append(manner[1](next(stream)))
            width += look.face.text_length(taken[-1], look.size) + space
        if len(taken) > 1:
            width -= look.face.text_length(taken.pop(), look.size) + space
        left = area.width - width
        x = area.x0 + {"right": left, "centre": left / 2}.get(manner[0], 0.0)
        gap = space + (min(left / max(len(taken) - 1, 1), look.size) if manner[0] == "justify" else 0)
        for text in taken:
            x += self.run((x, base), text, look) + gap
        return 1.0 if self.rng.random() < 0.93 else 1.6

    def table(self, area: pymupdf.Rect, ground: Colour) -> None:
        """Fill an area with a table."""
        look, rng = self.look(ground, 0.9), self.rng
        rows = self.source.table(rng)
        columns = max(1, min(len(rows[0]), int(area.width / (look.size * rng.uniform(4, 9)))))
        step = look.size * rng.uniform(1.15, 2.2)
        ruled = rng.random()
        first = rng.uniform(1.0, 2.5)
        share = area.width / (columns - 1 + first)
        for number, row in enumerate(rows):
            base = area.y0 + look.size + number * step
            if base > area.y1:
                break
            for column, cell in enumerate(row[:columns]):
                x0 = area.x0 + (0 if column == 0 else (first + column - 1) * share)
                room = share * (first if column == 0 else 1)
                self._cell(cell, (x0, base), room * 0.95, look)
            if ruled < 0.4:
                level = base + step * 0.3
                self.page.draw_line(
                    (area.x0, level), (area.x1, level), color=look.ink, width=rng.uniform(0.3, 1)
                )
        look.write(self.page)

    def _cell(self, cell: str, at: tuple[float, float], room: float, look: "Look") -> None:
        x, limit = at[0], at[0] + room
        width = look.face.text_length(cell, look.size)
        if cell[:1].isdigit() or cell[:1] in "$(-":
            x = max(x, limit - width)
        for text in cell.split():
            if x + look.face.text_length(text, look.size) > limit:
                return
            x += self.run((x, at[1]), text, look) + look.size * 0.27

    def chart(self, area: pymupdf.Rect, ground: Colour) -> None:
        """Fill an area with shapes and scattered labels."""
        rng, shape = self.rng, self.page.new_shape()
        for _ in range(rng.randint(2, 14)):
            x, y = rng.uniform(area.x0, area.x1), rng.uniform(area.y0, area.y1)
            x1, y1 = rng.uniform(area.x0, area.x1), rng.uniform(area.y0, area.y1)
            kind = rng.random()
            if kind < 0.4:
                shape.draw_line((x, y), (x1, y1 if rng.random() < 0.5 else y))
            elif kind < 0.8:
                shape.draw_rect(pymupdf.Rect(min(x, x1), min(y, y1), max(x, x1) + 1, max(y, y1) + 1))
            else:
                shape.draw_circle((x, y), rng.uniform(4, 60))
            fill = mixed(ground, colour(rng), rng.uniform(0.05, 0.25)) if rng.random() < 0.5 else None
            shape.finish(color=colour(rng), fill=fill, width=rng.uniform(0.3, 2))
        shape.commit()
        self._labels(area, ground)

    def _labels(self, area: pymupdf.Rect, ground: Colour) -> None:
        rng, stream = self.rng, self.source.words(self.rng)
        look = self.look(ground)
        y = area.y0 + look.size
        while y < area.y1:
            x = area.x0 + rng.uniform(0, area.width / 2)
            while x < area.x1:
                for _ in range(rng.randint(1, 3)):
                    text = odd_word(rng) if rng.random() < 0.4 * self.source.odd else next(stream)
                    if x + look.face.text_length(text, look.size) > area.x1:
                        break
                    x += self.run((x, y), text, look) + look.size * 0.27
                x += rng.uniform(look.size, area.width / 2)
            y += look.size * rng.uniform(1.1, 3)
        look.write(self.page)

    def image(self, scale: float) -> NDArray[np.uint8]:
        """The page rendered at so many pixels a point, (h, w) gray."""
        pixels = self.page.get_pixmap(matrix=pymupdf.Matrix(scale, scale), colorspace=pymupdf.csGRAY)
        return np.frombuffer(pixels.samples, np.uint8).reshape(pixels.height, pixels.stride)[
            :, : pixels.width
        ]


@dataclass(slots=True)
class Look:
    """How a run of text looks, and the writer that collects it."""

    face: pymupdf.Font
    size: float
    ink: Colour
    writer: pymupdf.TextWriter

    def has(self, letter: str) -> bool:
        """Whether the face can draw the letter."""
        return bool(self.face.has_glyph(ord(letter)))

    def write(self, page: pymupdf.Page) -> None:
        """Put everything collected on the page."""
        self.writer.write_text(page, color=self.ink)


def typeset(
    rng: random.Random, faces: Faces, source: TextSource, *, size: tuple[int, int], sharpness: float
) -> Sample:
    """Set one random page.

    Args:
        rng: decides everything.
        faces: the fonts.
        source: the words.
        size: width and height of the sample in pixels.
        sharpness: pixels rendered a pixel of the sample; the image comes back that much larger.
    """
    sheet = Sheet(rng, faces, source, size)
    ground: Colour = (1, 1, 1) if rng.random() < 0.7 else colour(rng)
    sheet.page.draw_rect(sheet.page.rect, color=None, fill=ground)
    for area in _split(rng, pymupdf.Rect(4, 4, size[0] - 4, size[1] - 4), depth=rng.randint(0, 3)):
        below = ground
        if rng.random() < 0.12:
            below = colour(rng)
            sheet.page.draw_rect(area, color=None, fill=below)
        draw = rng.choices([sheet.lines, sheet.table, sheet.chart], [0.55, 0.3, 0.15])[0]
        if draw == sheet.lines:
            sheet.lines(area, below, rng.choice([1, 1, 1, 0.8, 1.4, 2.0]))
        else:
            draw(area, below)
    return sheet.notes.sample(sheet.image(sharpness))


def _split(rng: random.Random, area: pymupdf.Rect, *, depth: int) -> list[pymupdf.Rect]:
    if depth == 0 or min(area.width, area.height) < 120:
        return [area]
    at, gap = rng.uniform(0.25, 0.75), rng.uniform(6, 24)
    if rng.random() < 0.5:
        cut = area.x0 + at * area.width
        halves = (
            pymupdf.Rect(area.x0, area.y0, cut - gap / 2, area.y1),
            pymupdf.Rect(cut + gap / 2, area.y0, area.x1, area.y1),
        )
    else:
        cut = area.y0 + at * area.height
        halves = (
            pymupdf.Rect(area.x0, area.y0, area.x1, cut - gap / 2),
            pymupdf.Rect(area.x0, cut + gap / 2, area.x1, area.y1),
        )
    return [part for half in halves for part in _split(rng, half, depth=depth - 1)]
