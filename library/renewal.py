"""Changing the visual encoder: a new generation of vectors beside the old one, then one swap; and back."""

import time
from collections.abc import Iterator
from dataclasses import replace

from domain.errors import UsageError
from domain.page import document_of
from library.arms import VisualArm
from library.batches import batched
from library.contents import stored_content
from library.models import Models
from library.results import Progress
from library.stores import Stores
from retrieve.engine import Engine


def renew(stores: Stores, encoder_name: str) -> Iterator[Progress]:
    """Embed every page anew with another encoder and swap when all are done; searches go on meanwhile.

    Called again after an interruption, it goes on where it was.

    Args:
        stores: the library's.
        encoder_name: a name of `recto models`.

    Raises:
        UsageError: there is no such encoder, or the library has no visual arm.
        BusyError: another process writes to this library.
        ModelError: the encoder cannot be loaded.
    """
    if "visual" not in stores.settings.arms:
        raise UsageError("this library has no visual arm; add it to `arms` in its settings first")
    settings = replace(stores.settings, encoder=encoder_name)
    encoder = Models(settings).encoder
    name, started = stores.generation_name(encoder.fingerprint), time.monotonic()
    with stores.exclusive():
        path = stores.generations("visual").path(name)
        engine = Engine.open(
            path,
            fingerprint=encoder.fingerprint,
            dim=encoder.dim,
            options=stores.engine_options("visual"),
            writable=True,
        )
        arm = VisualArm(encoder, engine)
        try:
            expected = stores.catalog.page_ids()
            missing = sorted(expected - arm.pages())
            done = len(expected) - len(missing)
            for batch in batched(missing, stores.batch_pages):
                rows = [(stores.catalog.document(document_of(p)), stores.catalog.page(p)) for p in batch]
                arm.add([stored_content(stores, document, row) for document, row in rows])
                done += len(batch)
                last = rows[-1]
                yield Progress(
                    name, done, len(expected), last[0].name, last[1].number, time.monotonic() - started
                )
            if arm.behind:
                yield Progress(name, done, len(expected), "", 0, time.monotonic() - started)
        finally:
            arm.close()
        before = stores.generations("visual").current()
        if before and not stores.encoder_of(before):
            stores.name_encoder(before, stores.settings.encoder)
        stores.name_encoder(name, encoder_name)
        stores.generations("visual").swap(name)
        settings.save(stores.directory)


def roll_back(stores: Stores) -> str:
    """Let the vectors that served before serve again; the name of their encoder.

    Raises:
        UsageError: there is nothing to go back to.
        BusyError: another process writes to this library.
    """
    with stores.exclusive():
        name = stores.generations("visual").roll_back()
        encoder = stores.encoder_of(name)
        replace(stores.settings, encoder=encoder).save(stores.directory)
        return encoder
