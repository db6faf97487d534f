"""The files of one library: catalogue, blobs, vectors, words, and the lock of its one writer."""

import json
import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from backbone.device import place
from domain.errors import StoreError
from domain.fingerprint import Fingerprint
from domain.model import ModelSettings
from ingest.images import ImageStore
from library.arms import Arm, LexicalArm, TextArm, VisualArm
from library.catalog import Catalog
from library.jobs import Jobs
from library.lock import WriterLock
from library.models import Models
from library.recent import Recent
from library.settings import Settings
from retrieve.engine import Engine
from retrieve.engine_options import EngineOptions
from retrieve.generations import Generations
from retrieve.lexical import LexicalIndex

log = logging.getLogger(__name__)

Arms = Mapping[str, Arm]
TEXT_CHARACTERS = 16_000_000
"""Of page texts kept in memory: some five thousand pages."""


class Stores:
    """Opens what a library keeps on disk: for reading, or for writing inside `writing()`."""

    def __init__(self, directory: Path, settings: Settings, models: Models) -> None:
        """Open or create the catalogue; the rest is opened on first use."""
        self.directory, self.settings, self.models = directory, settings, models
        self.catalog = Catalog(directory / "catalog.sqlite")
        self.jobs = Jobs(self.catalog)
        self.texts = Recent(TEXT_CHARACTERS)
        self._lock = WriterLock(directory / "writer.lock")
        self._write_turn = threading.RLock()
        self._open_turn = threading.Lock()
        self._writers = 0
        self._arms: Arms | None = None
        self._seen = -1

    @cached_property
    def blobs(self) -> ImageStore:
        """Originals, page pictures and words, named by their content."""
        return ImageStore.open(self.directory / "blobs")

    @cached_property
    def batch_pages(self) -> int:
        """Pages that are embedded, stored and committed together."""
        return self.settings.batch_pages or place(ModelSettings(device=self.settings.device)).pages

    def arms(self) -> Arms:
        """The arms of the settings, as they were last committed by any process."""
        stamp = self.catalog.stamp()
        with self._open_turn:
            if self._arms is None:
                self._arms = self._opened(writable=False)
            elif stamp != self._seen and not self._writers:
                for arm in self._arms.values():
                    arm.refresh()
            self._seen = stamp
            return self._arms

    @contextmanager
    def writing(self) -> Iterator[Arms]:
        """Be the one writer; the arms may be written to inside.

        Raises:
            BusyError: another process writes to this library.
        """
        with self._write_turn, self._lock.held():
            if not self._writers:
                self._swap(self._opened(writable=True), writers=1)
            else:
                self._writers += 1
            try:
                yield self._writable_arms()
            finally:
                if self._writers == 1:
                    self._swap(None, writers=0)
                else:
                    self._writers -= 1

    @contextmanager
    def writing_if_free(self) -> Iterator[Arms | None]:
        """Be the writer if nobody else is; None, at once, while another process or thread writes."""
        if not self._write_turn.acquire(blocking=False):
            yield None
            return
        try:
            if not self._lock.take():
                yield None
                return
            try:
                with self.writing() as arms:
                    yield arms
            finally:
                self._lock.give()
        finally:
            self._write_turn.release()

    def is_synced(self, arm: Arm) -> bool:
        """Whether an arm is known to hold just what the catalogue says, as of now."""
        try:
            found = json.loads(self._synced_file(arm.name).read_text())
        except (FileNotFoundError, ValueError):
            return False
        return bool(found == {"stamp": self.catalog.stamp(), "pages": len(arm)})

    def mark_synced(self, arm: Arm) -> None:
        """Remember that an arm holds just what the catalogue says now."""
        path = self._synced_file(arm.name)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps({"stamp": self.catalog.stamp(), "pages": len(arm)}))
        partial.replace(path)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Keep every other writer out, without opening the arms for writing.

        Raises:
            BusyError: another process writes to this library.
        """
        with self._write_turn, self._lock.held():
            yield

    def generation_name(self, fingerprint: Fingerprint) -> str:
        """The folder of the vectors that this model makes."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", fingerprint.model).strip("-.")[:60]
        kind = "" if self.settings.stored == "int8" else f"-{self.settings.stored}"
        return f"{plain}-{fingerprint.digest}{kind}"

    def engine_options(self, arm: str) -> EngineOptions:
        """How the vectors of an arm are kept and compared; the visual arm alone takes memory of the GPU."""
        device = place(ModelSettings(device=self.settings.device)).device
        hot = self.settings.gpu_cache_mib if arm == "visual" and device.startswith("cuda") else 0
        return EngineOptions(stored=self.settings.stored, device=device, hot_bytes=hot << 20)

    def encoder_of(self, generation: str) -> str:
        """The name under which the user chose the encoder of a generation; empty where it is not noted."""
        path = self.directory / "vectors" / f"{generation}.encoder"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def name_encoder(self, generation: str, encoder: str) -> None:
        """Note under which name the user chose the encoder of a generation."""
        (self.directory / "vectors" / f"{generation}.encoder").write_text(encoder, encoding="utf-8")

    def generations(self, arm: str) -> Generations:
        """The generations of an arm's vectors, side by side."""
        return Generations(self.directory / "vectors" / arm)

    def close(self) -> None:
        """Let go of every file."""
        with self._open_turn:
            for arm in (self._arms or {}).values():
                arm.close()
            self._arms = None
            self.catalog.close()

    def _writable_arms(self) -> Arms:
        if self._arms is None:
            raise StoreError(f"the library {self.directory} was closed while it was written to")
        return self._arms

    def _swap(self, arms: Arms | None, *, writers: int) -> None:
        with self._open_turn:
            before, self._arms, self._writers = self._arms, arms, writers
        for arm in (before or {}).values():
            arm.close()

    def _opened(self, *, writable: bool) -> Arms:
        return {name: self._arm(name, writable=writable) for name in self.settings.arms}

    def _arm(self, name: str, *, writable: bool) -> Arm:
        if name == "lexical":
            return LexicalArm(self._words(writable=writable))
        if name == "text":
            tower = self.models.tower
            return TextArm(tower, self._engine(name, tower.fingerprint, tower.dim, writable=writable))
        encoder = self.models.encoder
        return VisualArm(encoder, self._engine(name, encoder.fingerprint, encoder.dim, writable=writable))

    def _words(self, *, writable: bool) -> LexicalIndex:
        place = self.directory / "lexical"
        if not writable:
            try:
                return LexicalIndex.open(place)
            except StoreError:
                with self._lock.held():  # it is a cache: a damaged or missing one starts empty and is filled
                    LexicalIndex.open(place, writable=True).close()
        return LexicalIndex.open(place, writable=writable)

    def _engine(self, arm: str, fingerprint: Fingerprint, dim: int, *, writable: bool) -> Engine:
        generations = self.generations(arm)
        current, options = generations.current(), self.engine_options(arm)
        if current is None:
            current = self.generation_name(fingerprint)
            created = generations.path(current)
            Engine.open(created, fingerprint=fingerprint, dim=dim, options=options, writable=True).close()
            generations.swap(current)
        path = generations.path(current)
        return Engine.open(path, fingerprint=fingerprint, dim=dim, options=options, writable=writable)

    def _synced_file(self, arm: str) -> Path:
        return self.directory / f"{arm}.synced"
