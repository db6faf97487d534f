"""What a model is shown: token budgets, texts without control tokens, and the rendered prompt."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from PIL import Image

from backbone.checkpoint import Checkpoint
from domain.errors import ModelError

_PROBE = "recto probe 42"


@dataclass(frozen=True, slots=True)
class Budget:
    """How many visual tokens a page may become, translated for one image processor.

    Attributes:
        processor: the checkpoint's image processor.
        max_tokens: visual tokens a page, None for the checkpoint's own limit.
    """

    processor: Any
    max_tokens: int | None

    @property
    def patch_px(self) -> int | None:
        """The side, in pixels, of the square that becomes one visual token; None where it is not fixed."""
        patch, merge = (
            getattr(self.processor, "patch_size", None),
            getattr(self.processor, "merge_size", None),
        )
        return patch * merge if isinstance(patch, int) and isinstance(merge, int) else None

    @property
    def limits(self) -> tuple[int, int]:
        """The fewest and the most pixels that a page is resized to."""
        size = self.processor.size
        smallest, largest = int(size["shortest_edge"]), int(size["longest_edge"])
        if self.max_tokens is not None and self.patch_px is not None:
            largest = self.max_tokens * self.patch_px**2
        return min(smallest, largest), largest

    @property
    def options(self) -> dict[str, dict[str, int]]:
        """The image processor's arguments that enforce the budget before anything is resized."""
        if self.max_tokens is None or self.patch_px is None:
            return {}
        smallest, largest = self.limits
        return {"size": {"longest_edge": largest, "shortest_edge": smallest}}

    def tokens(self, image: Image.Image) -> int:
        """How many visual tokens the page becomes.

        Raises:
            ModelError: the page is too narrow a strip for this family.
        """
        if self.patch_px is None:
            return int(getattr(self.processor, "image_seq_length", 1024))
        smallest, largest = self.limits
        limits = {"min_pixels": smallest, "max_pixels": largest}
        try:
            patches = self.processor.get_number_of_image_patches(image.height, image.width, limits)
        except ValueError as error:
            size = f"{image.width} x {image.height} px"
            raise ModelError(f"a page of {size} cannot be resized for this model: {error}") from error
        return int(patches) // int(self.processor.merge_size) ** 2


def budget(model: Any, checkpoint: Checkpoint, max_tokens: int | None) -> Budget:
    """The budget for a loaded model.

    Raises:
        ModelError: the image processor was not found, or takes no budget.
    """
    images = getattr(model.processor, "image_processor", None)
    if images is None or not hasattr(model.processor, "tokenizer"):
        raise ModelError(
            f"{checkpoint.transformer} has no image processor (processor_config.json or "
            "preprocessor_config.json): the "
            "model would see no page; fetch the missing file"
        )
    made = Budget(images, max_tokens)
    if max_tokens is not None and (made.patch_px is None or max_tokens < 4):
        what = "is below 4" if made.patch_px is not None else "cannot be set for this family; leave it unset"
        raise ModelError(f"max_visual_tokens={max_tokens} {what} ({checkpoint.name})")
    return made


def plain_text(tokenizer: Any, text: str, *, max_tokens: int) -> str:
    """A person's text with the tokenizer's control tokens blanked out, cut after `max_tokens` tokens.

    A query that spells `<|image_pad|>` or `<|im_end|>` must stay a query.
    """
    special = {token for token in tokenizer.get_added_vocab() if token.strip()}
    if special:
        pattern = "|".join(re.escape(token) for token in sorted(special, key=len, reverse=True))
        text = re.sub(pattern, " ", text)
    pieces = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    return text if len(pieces) <= max_tokens else text[: pieces[max_tokens - 1][1]]


def prompt_digest(model: Any) -> str:
    """A hash of everything that is written around a query or a page."""
    parts = [
        model.processor.chat_template,
        getattr(model.processor.tokenizer, "chat_template", None),
        model.prompts,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def rendered(model: Any, messages: Sequence[Mapping[str, Any]], directory: Path, **variables: str) -> str:
    """What the chat template makes of messages, before tokens.

    Raises:
        ModelError: there is no chat template, or it cannot render them.
    """
    template = directory / "chat_template.jinja"
    if not model.processor.chat_template:
        raise ModelError(
            f"{template} is missing: the model's prompt is unknown; fetch it with the checkpoint"
        )
    try:
        return str(model.processor.apply_chat_template(list(messages), tokenize=False, **variables))
    except (ValueError, TypeError, KeyError, AttributeError, LookupError, jinja2.TemplateError) as error:
        raise ModelError(f"{template} cannot be rendered: {error}") from error


def probe_page() -> Image.Image:
    """A small blank page for checks at start-up."""
    return Image.new("RGB", (112, 112), "white")


def probe_messages(role: str, *, image: bool) -> list[dict[str, Any]]:
    """One message with the probe text, or with an image."""
    part = {"type": "image", "image": probe_page()} if image else {"type": "text", "text": _PROBE}
    return [{"role": role, "content": [part]}]


def holds_probe(prompt: str) -> bool:
    """Whether the probe text reached the prompt."""
    return _PROBE in prompt


def probe_place(prompt: str) -> int:
    """Where in the prompt the probe text begins; -1 where it is absent."""
    return prompt.find(_PROBE)


def image_token(model: Any) -> str:
    """The placeholder that stands for a page in the prompt, empty where the family names none."""
    return str(getattr(model.processor, "image_token", "") or "")
