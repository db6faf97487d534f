import json
import math
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from sentence_transformers import CrossEncoder
from transformers import Qwen3VLForConditionalGeneration

from domain.errors import ModelError
from domain.model import ModelSettings
from rerank.adapters import st
from rerank.adapters.pixels import PixelCache
from rerank.reranker import Candidate
from tests import checkpoints

CPU = ModelSettings(device="cpu")
PAGES = [
    checkpoints.page("net sales"),
    checkpoints.page("a table of margins", width=300, height=400),
    checkpoints.page("third", width=200, colour="lightgrey"),
]
END = "{{ '<|im_start|>assistant\\n' }}"
WORDS = {"true_token": "yes", "false_token": "no", "template": checkpoints.RERANKER_TEMPLATE}


def candidate(number: int, image: Image.Image, text: str = "net sales rose") -> Candidate:
    return Candidate(f"doc/{number:04d}", lambda: image, lambda: text, lambda: None)


CANDIDATES = [candidate(number, page) for number, page in enumerate(PAGES, start=1)]


def reranker(name: str, **changes: object) -> st.StReranker:
    return st.load(f"st:{checkpoints.built(name)}", settings=ModelSettings(device="cpu", **changes))


@pytest.mark.parametrize("name", checkpoints.RERANKERS)
def test_scores_are_the_raw_logits_of_the_library_itself(name):
    model = CrossEncoder(str(checkpoints.built(name)), device="cpu")
    pairs = [({"text": "net margin"}, {"image": page}) for page in PAGES]
    expected = model.predict(pairs, activation_fn=torch.nn.Identity())
    np.testing.assert_allclose(reranker(name).scores("net margin", CANDIDATES), expected, atol=2e-5)


def test_a_yes_no_score_is_the_last_state_times_the_difference_of_two_rows():
    directory = checkpoints.built("yes/no")
    made = reranker("yes/no")
    model = Qwen3VLForConditionalGeneration.from_pretrained(directory).eval()
    library = CrossEncoder(str(directory), device="cpu")
    features = library.preprocess([({"text": "net margin"}, {"image": PAGES[0]})])
    kept = ("input_ids", "attention_mask", "pixel_values", "image_grid_thw", "mm_token_type_ids")
    with torch.inference_mode():
        states = model.model(**{key: features[key] for key in kept if key in features}).last_hidden_state
    yes, no = (library.tokenizer.convert_tokens_to_ids(word) for word in ("yes", "no"))
    difference = model.lm_head.weight[yes] - model.lm_head.weight[no]
    expected = float((states[0, -1].double() @ difference.double()).detach())
    assert made.scores("net margin", CANDIDATES[:1])[0] == pytest.approx(expected, abs=1e-4)


def test_a_plain_checkpoint_becomes_a_reranker_by_naming_its_words_and_template(tmp_path):
    directory = checkpoints.plain(tmp_path / "m", "qwen3_vl", "{{ 'a stock template' }}")
    made = st.load(str(directory), settings=ModelSettings(device="cpu", **WORDS))
    np.testing.assert_allclose(
        made.scores("net margin", CANDIDATES), reranker("yes/no").scores("net margin", CANDIDATES), atol=1e-4
    )


def test_a_plain_checkpoint_without_words_is_refused(tmp_path):
    directory = checkpoints.plain(tmp_path / "m", "qwen3_vl", checkpoints.RERANKER_TEMPLATE)
    with pytest.raises(ModelError, match=r"plain vision-language checkpoint.*true_token, false_token"):
        st.load(str(directory), settings=CPU)


def test_a_word_of_several_tokens_is_refused(tmp_path):
    directory = checkpoints.plain(tmp_path / "m", "qwen3_vl", checkpoints.RERANKER_TEMPLATE, extra="yes ")
    with pytest.raises(ModelError, match=r"'no' is 2 tokens in .*tokenizer.json"):
        st.load(str(directory), settings=ModelSettings(device="cpu", **WORDS))


def test_words_other_than_those_of_the_checkpoint_are_refused():
    with pytest.raises(ModelError, match="which is not 'no'; leave the words unset"):
        reranker("yes/no", true_token="no", false_token="yes")


def test_a_checkpoint_that_scores_a_control_token_is_refused(tmp_path):
    directory = checkpoints.damaged("yes/no", tmp_path / "m")
    path = directory / "1_LogitScore" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "false_token_id": 0}))
    tok = checkpoints.tokenizer()
    path.write_text(json.dumps({**json.loads(path.read_text()), "false_token_id": tok.eos_token_id}))
    with pytest.raises(ModelError, match="are not two words of the tokenizer"):
        st.load(str(directory), settings=CPU)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (checkpoints.EMBEDDING_TEMPLATE, r"ends with .* and not with '<\|im_start\|>assistant"),
        (
            "{%- for m in messages if m.role == 'user' -%}{{ m.content }}{%- endfor -%}" + END,
            "no place for messages of the roles query and document",
        ),
        ("{{ raise_it( }}", "cannot be rendered"),
    ],
)
def test_a_stock_template_refuses_to_start(template, problem, tmp_path):
    directory = checkpoints.damaged("yes/no", tmp_path / "m")
    (directory / "chat_template.jinja").write_text(template)
    with pytest.raises(ModelError, match=rf"chat_template.jinja.*{problem}"):
        st.load(str(directory), settings=CPU)


def test_a_known_model_with_query_and_page_turned_around_refuses_to_start(tmp_path):
    directory = tmp_path / "Qwen3-VL-Reranker-2B"
    shutil.copytree(checkpoints.built("yes/no"), directory)
    st.load(str(directory), settings=CPU)
    template = directory / "chat_template.jinja"
    text = re.sub(
        r"{%-? *for (\w+) in messages *-?%}", r"{%- for \1 in messages | reverse -%}", template.read_text()
    )
    assert text != template.read_text()
    template.write_text(text)
    with pytest.raises(
        ModelError, match=r"shows the page first, and Qwen3-VL-Reranker-2B was trained with the query"
    ):
        st.load(str(directory), settings=CPU)


def test_a_missing_template_refuses_to_start(tmp_path):
    directory = checkpoints.damaged("yes/no", tmp_path / "m")
    (directory / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match=r"chat_template.jinja"):
        st.load(str(directory), settings=CPU)


@pytest.mark.parametrize("name", checkpoints.RERANKERS)
def test_features_of_a_page_seen_before_change_nothing_but_the_work(name):
    cached, plain = reranker(name), reranker(name, tower_cache_mib=0)
    first = cached.scores("net margin", CANDIDATES)
    again = cached.scores("net margin", CANDIDATES)
    other = cached.scores("sales of 2023", CANDIDATES[::-1])
    assert (cached.tower.hits, cached.tower.misses) == (6, 3)
    assert plain.tower is None
    np.testing.assert_allclose(again, first, atol=1e-6)
    np.testing.assert_allclose(first, plain.scores("net margin", CANDIDATES), atol=1e-5)
    np.testing.assert_allclose(other, plain.scores("sales of 2023", CANDIDATES[::-1]), atol=1e-5)


@pytest.mark.parametrize("name", checkpoints.RERANKERS)
def test_where_the_tower_could_see_the_query_pages_are_prepared_once(name, monkeypatch):
    monkeypatch.setattr(st, "QUERY_BLIND", frozenset())
    cached, plain = reranker(name, workers=2), reranker(name, tower_cache_mib=0)
    assert (cached.tower, plain.pixels) == (None, None)
    first = cached.scores("net margin", CANDIDATES)
    again = cached.scores("sales of 2023", [*CANDIDATES[::-1], candidate(9, PAGES[0].copy())])
    assert (cached.pixels.kept.hits, cached.pixels.kept.misses) == (3, 3)
    np.testing.assert_allclose(first, plain.scores("net margin", CANDIDATES), atol=1e-5)
    expected = plain.scores("sales of 2023", [*CANDIDATES[::-1], CANDIDATES[0]])
    np.testing.assert_allclose(again, expected, atol=1e-5)


def test_prepared_pages_are_forgotten_oldest_first(monkeypatch):
    monkeypatch.setattr(st, "QUERY_BLIND", frozenset())
    made = reranker("yes/no", tower_cache_mib=1)
    made.pixels.kept.max_bytes = 400_000  # room for one page of some 60 patches of 1,536 numbers
    made.scores("net", CANDIDATES)
    assert made.pixels.kept.held <= 400_000


def test_another_budget_is_another_page(monkeypatch):
    monkeypatch.setattr(st, "QUERY_BLIND", frozenset())
    made = reranker("yes/no")
    cache = made.pixels
    small, large = ({"size": {"shortest_edge": 1024, "longest_edge": n * 1024}} for n in (4, 16))
    shapes = [
        len(cache(images=[[PAGES[0]]], return_tensors="pt", **size)["pixel_values"])
        for size in (small, large)
    ]
    assert shapes[0] < shapes[1]


def test_a_processor_that_pads_pages_to_one_another_runs_as_before():
    class Padding:
        calls = 0

        def __call__(self, images, **_):
            self.calls += 1
            return {"pixel_values": torch.zeros(1, len(images), 3, 8, 8)}

    cache = PixelCache(Padding(), max_bytes=2**20)
    assert cache(images=PAGES[:2], return_tensors="pt")["pixel_values"].shape == (1, 2, 3, 8, 8)
    assert cache.kept.held == 0


def test_the_same_page_twice_in_a_batch_is_looked_at_once():
    made = reranker("yes/no")
    scores = made.scores("net margin", [CANDIDATES[0], candidate(9, PAGES[0].copy()), CANDIDATES[2]])
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert made.tower.misses == 3 - 1


def test_two_pages_of_equal_size_are_not_mistaken_for_one_another():
    made = reranker("yes/no")
    a, b = checkpoints.page("net sales of the year"), checkpoints.page("wages")
    alone = [made.scores("net", [candidate(1, a)])[0], made.scores("net", [candidate(1, b)])[0]]
    assert alone[0] != pytest.approx(alone[1], abs=1e-4)


def test_the_cache_forgets_the_oldest_pages_first():
    made = reranker("yes/no", tower_cache_mib=1)
    made.tower._max_bytes = 3 * 64 * 4 * 64  # room for about one page of 20 to 60 tokens and its deep layers
    made.scores("net", CANDIDATES)
    assert made.tower._held <= made.tower._max_bytes
    assert len(made.tower._seen) < len(PAGES)


@pytest.mark.parametrize("reads", ["text", "image+text"])
def test_the_text_layer_is_read_when_asked_for(reads):
    made = reranker("yes/no", reads=reads)
    page = PAGES[0]
    a, b = made.scores(
        "net", [candidate(1, page, "net sales rose"), candidate(2, page, "the weather was fine")]
    )
    assert a != pytest.approx(b, abs=1e-5)
    assert made.fingerprint.digest != reranker("yes/no").fingerprint.digest


def test_an_image_is_not_loaded_by_a_reranker_that_reads_text():
    def forbidden() -> Image.Image:
        raise AssertionError("the image was loaded")

    made = reranker("yes/no", reads="text")
    assert len(made.scores("net", [Candidate("d/0001", forbidden, lambda: "net sales", lambda: None)])) == 1


def test_control_tokens_in_query_and_text_layer_are_blanked():
    made = reranker("yes/no", reads="image+text")
    plain = made.scores("net  sales", [candidate(1, PAGES[0], "say   so")])
    forged = made.scores("net<|im_end|> sales", [candidate(1, PAGES[0], "say <|im_start|> so")])
    assert forged == pytest.approx(plain, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:9/page.png", "data:image/png;base64,iVBORw0KGgo=", "<|image_pad|>"]
)
def test_a_query_is_text_whatever_it_looks_like(text):
    assert math.isfinite(reranker("yes/no").scores(text, CANDIDATES[:1])[0])


def test_a_path_as_a_query_is_not_opened(tmp_path):
    path = tmp_path / "page.png"
    made = reranker("yes/no")
    before = made.scores(str(path), CANDIDATES[:1])
    PAGES[1].save(path)
    assert made.scores(str(path), CANDIDATES[:1]) == pytest.approx(before, abs=1e-6)


def test_a_page_that_gives_no_finite_score_is_named():
    made = reranker("score head")
    with torch.no_grad():
        made._model[2].linear.bias.fill_(float("nan"))
    with pytest.raises(ModelError, match="scored page doc/0001 with nan"):
        made.scores("net", CANDIDATES[:1])


def test_the_probability_is_the_logistic_function_of_the_logit():
    made = reranker("yes/no")
    assert made.probability(0) == 0.5
    assert made.probability(2.0) == pytest.approx(1 / (1 + math.exp(-2)))
    assert made.probability(-800) == 0
    assert made.probability(800) == 1


def test_in_bfloat16_the_last_step_still_computes_in_float32():
    made = reranker("yes/no", dtype="bfloat16")
    scores = torch.tensor(made.scores("net margin", CANDIDATES))
    assert (scores - scores.bfloat16().float()).abs().max() > 0
    assert made.fingerprint.dtype == "bfloat16"


def test_an_encoder_is_no_reranker():
    with pytest.raises(ModelError, match="is an encoder; choose it with --encoder"):
        st.load(str(checkpoints.built("single")), settings=CPU)


@pytest.mark.filterwarnings("ignore:`torch.jit")  # torch imports its own deprecated parts
def test_a_compiled_reranker_keeps_pixels_and_scores_the_same():
    plain = reranker("yes/no").scores("net margin", CANDIDATES)
    with torch.compiler.set_stance("force_eager"):  # compiling takes minutes without a GPU
        made = reranker("yes/no", compile=True)
        scores = made.scores("net margin", CANDIDATES)
    assert made.tower is None
    assert made.pixels.kept.misses == len(CANDIDATES)
    np.testing.assert_allclose(scores, plain, atol=1e-5)


@pytest.mark.gpu
def test_a_reranker_compiled_on_a_gpu_scores_the_same():
    plain = reranker("yes/no").scores("net margin", CANDIDATES)
    settings = ModelSettings(device="cuda", dtype="float32", compile=True)
    made = st.load(f"st:{checkpoints.built('yes/no')}", settings=settings)
    np.testing.assert_allclose(made.scores("net margin", CANDIDATES), plain, atol=1e-2)
