"""The stream of training pictures: real and typeset pages, worn, some of them again."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from training.encoder_config import EncoderConfig
from training.real_pages import RealPages
from training.sample import Sample
from training.texts import Context
from training.typeset import Faces, TextSource, font_files, typeset
from training.wear import worn

POOL = 200
"""Pictures kept to be worn anew."""


@dataclass(slots=True)
class Crops:
    """Draws pictures; the same seed draws the same ones."""

    config: EncoderConfig
    real: RealPages
    faces: Faces
    source: TextSource
    pool: list[Sample] = field(default_factory=list)

    def draw(self, rng: random.Random, *, fresh: bool = False) -> Sample:
        """The next picture, worn, at the configured size; `fresh` never takes an earlier one."""
        config = self.config
        size = (config.width_px, config.height_px)
        if fresh or len(self.pool) < 8 or rng.random() < config.fresh:
            clean = self._fresh(rng, size)
            self.pool.append(clean)
            if len(self.pool) > POOL:
                self.pool.pop(rng.randrange(POOL))
        else:
            clean = rng.choice(self.pool)
        return replace(clean, image=worn(clean.image, rng, size=size))

    def _fresh(self, rng: random.Random, size: tuple[int, int]) -> Sample:
        sharpness = rng.choice([1.0, rng.uniform(1.0, 2.0)])
        if self.real.places and rng.random() < self.config.real:
            return self.real.crop(rng, size=size, print_px=self.config.print_px, sharpness=sharpness)
        return typeset(rng, self.faces, self.source, size=size, sharpness=sharpness)


def crops_of(config: EncoderConfig, contexts: Sequence[Context], rare: Sequence[str]) -> Crops:
    """Open everything that a run draws pictures from."""
    pdfs = [path for directory in config.pdfs for path in sorted(directory.glob("*.pdf"))]
    faces = Faces(font_files(config.fonts) if config.fonts else [])
    return Crops(config, RealPages(pdfs), faces, TextSource(contexts, rare, config.odd, config.print_px))
