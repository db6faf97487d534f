"""The dense text arm: page text in chunks, one vector each; a page counts by its best chunk."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from backbone.integers import linear_bytes_pay, linear_in_bytes
from backbone.threads import Crew
from backbone.transformer import quick
from domain.errors import ModelError
from domain.fingerprint import Fingerprint
from retrieve.encoder import Vectors
from retrieve.text_tower import TOKENIZER, TextNetwork, batch_of, load_network


@dataclass(frozen=True, slots=True)
class PageText:
    """The text of a page and the title of its document (the file's name does), either may be empty."""

    title: str
    text: str


class TextTower:
    """Embeds page text and questions into one space.

    A page gives one row a chunk, so that the best inner product with a question's single row is the page's
    score; a page without text gives no rows. A page's vectors never depend on the pages beside it.
    """

    name = "text"

    def __init__(self, network: TextNetwork, tokenizer: Tokenizer, digest: str) -> None:
        """Hold a loaded network; use `load` to read one."""
        self._network = network
        self._tokenizer = tokenizer
        self._digest = digest
        self._crew = Crew()
        self._marks = tuple(_mark(tokenizer, word) for word in ("[CLS]", "[SEP]"))

    @property
    def dim(self) -> int:
        """The width of every vector."""
        return self._network.config.hidden

    @property
    def fingerprint(self) -> Fingerprint:
        """What made the vectors; it covers how text is cut as well as the weights."""
        shape = self._network.config
        cut = f"{shape.max_tokens}/{shape.title_tokens}/{shape.overlap}"
        return Fingerprint(
            model=self.name, weights=self._digest, prompt=f"title. chunk {cut}", pooling="mean"
        )

    def passages(self, pages: Sequence[PageText]) -> list[Vectors]:
        """Embed pages, in order: (chunks, dim) unit rows each."""
        return self._crew.each(self._embedded, [self.chunks(page) for page in pages])

    def queries(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed questions, in order: one row each; what exceeds one chunk is not read."""
        first, last = self._marks
        room = self._network.config.max_tokens - 2
        return self._crew.each(
            self._embedded, [[[first, *self._pieces(text)[:room], last]] for text in texts]
        )

    def chunks(self, page: PageText) -> list[list[int]]:
        """Cut a page's text into overlapping runs of word pieces, the title before each."""
        shape = self._network.config
        return cut_text(
            self._pieces(page.text),
            title=self._pieces(spoken(page.title) + ".")[: shape.title_tokens] if page.title else [],
            size=shape.max_tokens,
            overlap=shape.overlap,
            marks=(self._marks[0], self._marks[1]),
        )

    def _pieces(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _embedded(self, chunks: list[list[int]]) -> Vectors:
        if not chunks:
            return Vectors(np.zeros((0, self.dim), dtype=np.float32))
        with torch.inference_mode(), quick(self._network.device.type):
            rows = self._network(*batch_of(chunks))
        return Vectors(rows.float().cpu().numpy())


def cut_text(
    pieces: Sequence[int], *, title: Sequence[int], size: int, overlap: int, marks: tuple[int, int]
) -> list[list[int]]:
    """Cut word pieces into runs of at most `size`, marks and title included.

    Two neighbours share `overlap` pieces; the last run ends with the text. No pieces give no runs.

    Raises:
        ValueError: title, marks and overlap leave no room to advance.
    """
    room = size - len(title) - 2
    if room <= overlap:
        raise ValueError(
            f"{size} pieces hold no text beside a title of {len(title)} and an overlap of {overlap}"
        )
    starts = range(0, max(len(pieces) - overlap, min(len(pieces), 1)), room - overlap)
    return [[marks[0], *title, *pieces[start : start + room], marks[1]] for start in starts]


def spoken(name: str) -> str:
    """A file's name as words: `3M_2018_10K` becomes `3M 2018 10K`."""
    return re.sub(r"[\s_\-]+", " ", name).strip()


def load(directory: Path, *, device: str = "cpu") -> TextTower:
    """Read a text tower, to run on a device.

    Raises:
        ModelError: a file is missing or damaged; names the directory and the remedy.
    """
    network, digest = load_network(directory)
    path = directory / TOKENIZER
    if not path.is_file():
        raise ModelError(f"the text tower in {directory} has no {TOKENIZER}; restore the directory")
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if device == "cpu" and linear_bytes_pay():
        linear_in_bytes(network)
    return TextTower(network.to(device), tokenizer, digest)


def _mark(tokenizer: Tokenizer, word: str) -> int:
    number = tokenizer.token_to_id(word)
    if number is None:
        raise ModelError(
            f"the tokenizer has no {word}; it is not the one that the text tower was trained with"
        )
    return int(number)
