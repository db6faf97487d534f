"""The visual encoder's part in training the reranker: its words, and what it reads of pages."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image

from domain.model import ModelSettings
from rerank.builtin.pairs import Reader, Reading
from rerank.builtin.spelling import EncoderWords
from rerank.reranker import PageFeatures
from retrieve.adapters.builtin import load
from training.reranker_pages import WordPage, picture

Progress = Callable[[str], None]


def made_up_words(rarity: Mapping[str, float], *, buckets: int, dim: int, seed: int) -> EncoderWords:
    """Random vectors, and rarity for worth: for training without an encoder."""
    table = np.random.default_rng(seed).standard_normal((buckets, dim), dtype=np.float32)
    hashed = {crc32(word.encode()): worth for word, worth in rarity.items()}
    known = np.array(sorted(hashed), dtype=np.uint32)
    return EncoderWords(table, known, np.array([hashed[int(key)] for key in known], np.float32), 1.0, "")


def look_at(
    pages: Sequence[WordPage], directory: Path, reader: Reader, work: Path, tell: Progress
) -> list[Reading]:
    """What the encoder reads of each page; kept in the work directory and not read twice."""
    encoder = load(f"builtin:{directory}", settings=ModelSettings())
    kept = work / f"seen_{encoder.fingerprint.digest}_{_digest(pages)}.npz"
    if not kept.is_file():
        rows, boxes = [], []
        for place, page in enumerate(pages):
            found = encoder.pages([Image.fromarray(picture(page))])[0]
            rows.append(found.rows.astype(np.float16))
            boxes.append(found.boxes if found.boxes is not None else np.zeros((len(found.rows), 4)))
            if place % 100 == 0:
                tell(f"read {place}/{len(pages)} pages by sight")
        ends = np.cumsum([len(one) for one in rows])
        np.savez(kept, rows=np.concatenate(rows), boxes=np.concatenate(boxes).astype(np.float16), ends=ends)
    held = np.load(kept)
    parts = zip(
        np.split(held["rows"], held["ends"][:-1]), np.split(held["boxes"], held["ends"][:-1]), strict=True
    )
    return [
        reader.seen(PageFeatures(rows.astype(np.float32), boxes.astype(np.float32)), about=())
        for rows, boxes in parts
    ]


def _digest(pages: Sequence[WordPage]) -> str:
    return f"{crc32(repr([(page.path.name, page.number, page.words[:20]) for page in pages]).encode()):08x}"
