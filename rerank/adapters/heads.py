"""The last step of a reranker: two words' logits or a small head, in float32, after a prompt that fits."""

from typing import Any

import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.base.modules import Transformer
from sentence_transformers.cross_encoder.modules import LogitScore
from torch import Tensor, nn

from backbone.checkpoint import Checkpoint
from backbone.inputs import holds_probe, image_token, probe_messages, probe_place, rendered
from backbone.running import lift_heads
from domain.errors import ModelError
from domain.families import trained_order
from domain.model import ModelSettings

_TURN, _CHAT_END = "<|im_start|>", "<|im_start|>assistant\n"


class _Words(nn.Module):
    """The rows of a language head that score two words, in float32."""

    def __init__(self, head: nn.Linear, tokens: list[int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(head.weight[tokens].detach().float(), requires_grad=False)
        self.bias = (
            None
            if head.bias is None
            else nn.Parameter(head.bias[tokens].detach().float(), requires_grad=False)
        )

    def forward(self, states: Tensor) -> Tensor:
        return nn.functional.linear(states.float(), self.weight, self.bias)


def modules_for(checkpoint: Checkpoint, settings: ModelSettings, options: dict[str, Any]) -> list[nn.Module]:
    """Turn a plain vision-language checkpoint into a yes/no reranker.

    Raises:
        ModelError: the settings do not name its two words and its template, or a word is not one token.
    """
    if not (settings.true_token and settings.false_token and settings.template):
        raise ModelError(
            f"{checkpoint.name} is a plain vision-language checkpoint (no modules.json in "
            f"{checkpoint.directory}); "
            "scoring with it needs true_token, false_token and the template it was trained with"
        )
    shared = {"local_files_only": True, "trust_remote_code": settings.trust_remote_code}
    transformer = Transformer(
        str(checkpoint.directory),
        transformer_task="any-to-any",
        model_kwargs={**shared, **options["model_kwargs"]},
        processor_kwargs={**shared, **options["processor_kwargs"]},
        config_kwargs=dict(shared),
    )
    yes, no = (
        token_id(transformer.tokenizer, word, checkpoint)
        for word in (settings.true_token, settings.false_token)
    )
    return [transformer, LogitScore(yes, no)]


def token_id(tokenizer: Any, word: str, checkpoint: Checkpoint) -> int:
    """The id of a word that must be a single token.

    Raises:
        ModelError: the tokenizer splits it or does not know it.
    """
    ids = tokenizer(word, add_special_tokens=False)["input_ids"]
    if len(ids) != 1 or ids[0] == tokenizer.unk_token_id:
        raise ModelError(
            f"{word!r} is {len(ids)} tokens in {checkpoint.transformer / 'tokenizer.json'}; a yes/no "
            "reranker needs "
            "words of one token each: check that the tokenizer belongs to the checkpoint"
        )
    return int(ids[0])


def check_prompt(model: CrossEncoder, checkpoint: Checkpoint, settings: ModelSettings) -> None:
    """Refuse a prompt that drops the query or the page, or ends where the model was not trained to answer.

    A stock chat template gives plausible scores, all near one half.

    Raises:
        ModelError: names the template file and what it should do.
    """
    if "message" not in model.modalities:
        if "image" in settings.reads:
            raise ModelError(
                f"{checkpoint.name} reads text only; set reads to text, or choose a visual reranker"
            )
        return
    template = checkpoint.transformer / "chat_template.jinja"
    sees = "image" in settings.reads
    messages = [*probe_messages("query", image=False), *probe_messages("document", image=sees)]
    prompt = rendered(model, messages, checkpoint.transformer)
    if not holds_probe(prompt) or (sees and image_token(model) not in prompt):
        raise ModelError(
            f"{template} has no place for messages of the roles query and document: it is a stock chat "
            "template; "
            "give the template that the reranker was trained with"
        )
    if sees:
        _check_order(prompt, image_token(model), checkpoint)
    end = settings.prompt_end
    if not end and isinstance(model[-1], LogitScore):
        if _TURN not in model.tokenizer.get_added_vocab():
            raise ModelError(f"{checkpoint.name}: set prompt_end to what its prompt must end with")
        end = _CHAT_END
    if not prompt.endswith(end):
        raise ModelError(
            f"{template} renders a prompt that ends with {prompt[-24:]!r} and not with {end!r}, where the "
            "model "
            "answers; give the template that the reranker was trained with"
        )


def _check_order(prompt: str, page: str, checkpoint: Checkpoint) -> None:
    """Refuse a prompt that turns the order around in which a known model was trained."""
    first = "query first" if probe_place(prompt) < prompt.index(page) else "page first"
    wanted = trained_order(checkpoint.identity)
    if wanted and first != wanted:
        raise ModelError(
            f"{checkpoint.transformer / 'chat_template.jinja'} shows the {first}, and {checkpoint.identity} was "
            f"trained with the {wanted}; give the template that the reranker was trained with"
        )


def lift_head(model: CrossEncoder, checkpoint: Checkpoint, settings: ModelSettings) -> None:
    """Let the last step compute in float32, and for two words compute two logits, not the whole vocabulary.

    Raises:
        ModelError: the two words are not distinct tokens of the tokenizer, or not the ones in the settings.
    """
    score: Any = model[-1]
    if isinstance(score, LogitScore):
        _lift_words(model, score, checkpoint, settings)
        return
    lift_heads(model)
    if isinstance(score, Transformer):
        names = [name for name, part in model.named_modules() if name.endswith((".score", ".classifier"))
                 and type(part) is nn.Linear]  # fmt: skip
        model.set_keep_in_fp32_modules(names)


def _lift_words(model: Any, score: LogitScore, checkpoint: Checkpoint, settings: ModelSettings) -> None:
    tokenizer = model.tokenizer
    tokens = [token for token in (score.true_token_id, score.false_token_id) if token is not None]
    wrong = len(set(tokens)) < len(tokens) or any(
        not 0 <= token < len(tokenizer) or token in tokenizer.all_special_ids for token in tokens
    )
    path = checkpoint.directory / "modules.json"
    if wrong:
        raise ModelError(f"{path}: the tokens {tokens} that it scores are not two words of the tokenizer")
    for word, token in zip((settings.true_token, settings.false_token), tokens, strict=False):
        if word and token_id(tokenizer, word, checkpoint) != token:
            raise ModelError(f"{path} scores token {token}, which is not {word!r}; leave the words unset")
    backbone = model[0].model
    head = backbone.get_output_embeddings()
    if type(head) is not nn.Linear:
        raise ModelError(f"{checkpoint.name} has no language head to read two words from")
    with torch.no_grad():
        backbone.set_output_embeddings(_Words(head, tokens))
    score.true_token_id = 0
    score.false_token_id = 1 if len(tokens) == 2 else None
