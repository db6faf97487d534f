import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from sentence_transformers import MultiVectorEncoder, SentenceTransformer

from domain.errors import ModelError
from domain.model import ModelSettings
from retrieve.adapters import st
from tests import checkpoints

CPU = ModelSettings(device="cpu")
PAGES = [
    checkpoints.page("net sales"),
    checkpoints.page("a table of margins", width=300, height=400),
    checkpoints.page("third", width=200, colour="lightgrey"),
]


def encoder(name: str, **changes: object) -> st.StEncoder:
    return st.load(f"st:{checkpoints.built(name)}", settings=ModelSettings(device="cpu", **changes))


def spoil(directory: Path, change) -> Path:
    file = directory / "model.safetensors"
    tensors = load_file(file)
    change(tensors)
    save_file(tensors, file, metadata={"format": "pt"})
    return directory


@pytest.mark.parametrize("name", ["late", "late 2.5"])
def test_late_interaction_vectors_are_those_of_the_library_itself(name):
    model = MultiVectorEncoder(str(checkpoints.built(name)), device="cpu")
    theirs = model.encode_document([{"image": page} for page in PAGES], convert_to_numpy=True)
    queries = model.encode_query([{"text": "net margin"}], convert_to_numpy=True)
    made = encoder(name)
    for ours, expected in zip(made.pages(PAGES), theirs, strict=True):
        np.testing.assert_allclose(ours.rows, expected, atol=1e-5)
    np.testing.assert_allclose(made.queries(["net margin"])[0].rows, queries[0], atol=1e-5)


def test_single_vectors_are_those_of_the_library_itself():
    model = SentenceTransformer(str(checkpoints.built("single")), device="cpu")
    theirs = model.encode_document([{"image": page} for page in PAGES])
    query = model.encode_query([{"text": "net margin"}])
    made = encoder("single")
    np.testing.assert_allclose(np.concatenate([v.rows for v in made.pages(PAGES)]), theirs, atol=1e-5)
    np.testing.assert_allclose(made.queries(["net margin"])[0].rows, query, atol=1e-5)


def test_the_query_prompt_of_the_checkpoint_is_used():
    made = encoder("single")
    model = SentenceTransformer(str(checkpoints.built("single")), device="cpu")
    bare = model.encode([{"text": "net margin"}], prompt="")
    assert np.abs(made.queries(["net margin"])[0].rows - bare).max() > 1e-3


@pytest.mark.parametrize(
    "kind", ["path", "http://127.0.0.1:9/page.png", "data:image/png;base64,iVBORw0KGgo=", "<|image_pad|>"]
)
@pytest.mark.parametrize("name", ["late", "single"])
def test_a_query_is_text_whatever_it_looks_like(name, kind, tmp_path):
    text = kind
    if kind == "path":
        checkpoints.page("secret").save(tmp_path / "page.png")
        text = str(tmp_path / "page.png")
    made = encoder(name)
    found = made.queries([text])[0]
    assert np.isfinite(found.rows).all()
    if name == "late" and kind != "<|image_pad|>":
        assert "".join(found.labels).startswith(text)


def test_control_tokens_in_a_query_are_blanked():
    made = encoder("late")
    assert made.queries(["net<|im_end|>sales"])[0].labels == made.queries(["net sales"])[0].labels


def test_an_over_long_query_is_cut_and_its_prompt_is_not():
    found = encoder("late", max_query_tokens=16).queries(["margin " * 200])[0]
    assert len(found.rows) == 16 + 10
    assert found.labels[-1] == "<|endoftext|>"


def test_a_visual_token_knows_the_place_it_looks_at():
    found = encoder("late").pages([PAGES[1]])[0]
    cells = found.boxes[(found.boxes != [0, 0, 1, 1]).any(axis=1)]
    areas = (cells[:, 2] - cells[:, 0]) * (cells[:, 3] - cells[:, 1])
    assert len(cells) >= 40
    assert areas.sum() == pytest.approx(1, abs=1e-5)
    assert cells[0].tolist()[:2] == [0, 0]
    assert cells[-1].tolist()[2:] == [1, 1]


@pytest.mark.parametrize("name", checkpoints.ENCODERS)
def test_the_token_budget_bounds_the_visual_tokens_and_is_in_the_fingerprint(name):
    small, large = encoder(name, max_visual_tokens=9), encoder(name)
    assert small.fingerprint.digest != large.fingerprint.digest
    if name != "single":
        boxes = small.pages([PAGES[1]])[0].boxes
        assert 4 <= (boxes != [0, 0, 1, 1]).any(axis=1).sum() <= 9


def test_pooled_pages_have_fewer_unit_rows_and_another_fingerprint():
    pooled, whole = encoder("late", pool_factor=3), encoder("late")
    few, many = pooled.pages(PAGES), whole.pages(PAGES)
    assert pooled.fingerprint.pooling == "ward:3"
    for a, b in zip(few, many, strict=True):
        assert len(a.rows) == len(b.rows) // 3
        np.testing.assert_allclose(np.linalg.norm(a.rows, axis=1), 1, atol=1e-5)
    assert len(pooled.queries(["net"])[0].rows) == len(whole.queries(["net"])[0].rows)


def test_shorter_single_vectors_are_prefixes_made_unit_again():
    short, full = encoder("single", dim=16), encoder("single")
    a, b = short.pages(PAGES[:1])[0].rows, full.pages(PAGES[:1])[0].rows[:, :16]
    assert short.dim == 16
    np.testing.assert_allclose(a, b / np.linalg.norm(b), atol=1e-5)


def test_in_bfloat16_the_projection_still_computes_in_float32():
    made = encoder("late", dtype="bfloat16")
    rows = made.pages(PAGES[:1])[0].rows
    steps = torch.from_numpy(rows).bfloat16().float().numpy()
    assert made.fingerprint.dtype == "bfloat16"
    assert np.abs(rows - steps).max() > 1e-5


def test_pages_of_any_mode_become_rgb():
    made = encoder("late")
    grey = PAGES[0].convert("L")
    np.testing.assert_allclose(
        made.pages([grey])[0].rows, made.pages([grey.convert("RGB")])[0].rows, atol=1e-6
    )


def test_a_missing_tensor_refuses_to_start(tmp_path):
    directory = spoil(
        checkpoints.damaged("late", tmp_path / "m"),
        lambda tensors: tensors.pop("language_model.layers.0.mlp.gate_proj.weight"),
    )
    with pytest.raises(
        ModelError, match=r"1 missing \(language_model.layers.0.mlp.gate_proj.weight\).*random"
    ):
        st.load(str(directory), settings=CPU)


def test_an_unexpected_tensor_refuses_to_start(tmp_path):
    directory = spoil(
        checkpoints.damaged("late", tmp_path / "m"), lambda tensors: tensors.update(extra=torch.zeros(2))
    )
    with pytest.raises(ModelError, match=r"1 unexpected \(extra\)"):
        st.load(str(directory), settings=CPU)


def test_a_tensor_of_another_shape_refuses_to_start(tmp_path):
    directory = spoil(
        checkpoints.damaged("late", tmp_path / "m"),
        lambda tensors: tensors.update({"language_model.norm.weight": torch.zeros(3)}),
    )
    with pytest.raises(
        ModelError, match=r"1 misshapen \(language_model.norm.weight \(3,\) instead of \(64,\)\)"
    ):
        st.load(str(directory), settings=CPU)


def test_a_projection_without_its_weights_refuses_to_start(tmp_path):
    directory = checkpoints.damaged("late", tmp_path / "m")
    (directory / "1_Dense" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"1_Dense holds no .safetensors file"):
        st.load(str(directory), settings=CPU)


def test_a_projection_of_another_width_refuses_to_start(tmp_path):
    directory = checkpoints.damaged("late", tmp_path / "m")
    path = directory / "1_Dense" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "out_features": 8}))
    with pytest.raises(ModelError, match="1_Dense do not fit its configuration: 2 misshapen"):
        st.load(str(directory), settings=CPU)


def test_a_colpali_engine_directory_is_refused_with_the_way_to_convert(tmp_path):
    directory = checkpoints.plain(tmp_path / "m", "qwen2_vl", checkpoints.COLQWEN_TEMPLATE, base=True)
    spoil(directory, lambda tensors: tensors.update({"custom_text_proj.weight": torch.zeros(128, 64)}))
    with pytest.raises(ModelError, match=r"layout of colpali-engine.*recto models convert"):
        st.load(str(directory), settings=CPU)


def test_a_plain_backbone_is_no_encoder(tmp_path):
    directory = checkpoints.plain(tmp_path / "m", "qwen2_vl", checkpoints.COLQWEN_TEMPLATE, base=True)
    with pytest.raises(ModelError, match=r"modules.json.*does not say how token states become vectors"):
        st.load(str(directory), settings=CPU)


def test_a_reranker_is_no_encoder():
    with pytest.raises(ModelError, match="is a reranker; choose it with --reranker"):
        st.load(str(checkpoints.built("yes/no")), settings=CPU)


def test_a_processor_that_is_missing_refuses_to_start(tmp_path):
    directory = checkpoints.damaged("late", tmp_path / "m")
    (directory / "processor_config.json").unlink()
    with pytest.raises(ModelError, match=r"processor"):
        st.load(str(directory), settings=CPU)


def test_a_template_that_drops_the_page_refuses_to_start(tmp_path):
    directory = checkpoints.damaged("late", tmp_path / "m")
    (directory / "chat_template.jinja").write_text(
        "{%- for m in messages -%}{%- for p in m.content -%}{{ p.text }}{%- endfor -%}{%- endfor -%}"
    )
    with pytest.raises(ModelError, match=r"chat_template.jinja leaves out the image of a page"):
        st.load(str(directory), settings=CPU)


def test_a_checkpoint_that_wants_to_run_code_is_refused_unless_trusted(tmp_path):
    directory = checkpoints.damaged("late", tmp_path / "m")
    modules = json.loads((directory / "modules.json").read_text())
    modules[1]["type"] = "evil.Dense"
    (directory / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match=r"modules.json asks to run .* --trust-remote-code"):
        st.load(str(directory), settings=CPU)


def test_pickled_weights_are_refused(tmp_path):
    directory = checkpoints.damaged("late", tmp_path / "m")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(ModelError, match=r"holds no .safetensors file; other formats can run code"):
        st.load(str(directory), settings=CPU)


@pytest.mark.parametrize("name", ["st:./nowhere", "st:one-word", "st:a/b/c"])
def test_a_name_that_is_neither_directory_nor_repository_is_refused(name):
    with pytest.raises(ModelError, match="neither a directory on this machine nor a repository"):
        st.load(name, settings=CPU)


def test_offline_a_repository_that_is_not_here_is_refused_without_a_request(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match="is not on this machine"):
        st.load("st:nobody/nothing-here", settings=ModelSettings(device="cpu", offline=True))
    with pytest.raises(ModelError, match="did you mean Qwen/Qwen3-VL-Embedding-2B"):
        st.load("st:Qwen/Qwen3-VL-Embeding-2B", settings=ModelSettings(device="cpu", offline=True))


def test_an_adapter_without_its_base_is_refused(tmp_path):
    directory = checkpoints.damaged("late", tmp_path / "m")
    (directory / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match="an adapter without its base model"):
        st.load(str(directory), settings=CPU)


def test_a_budget_below_four_tokens_is_refused():
    with pytest.raises(ModelError, match="max_visual_tokens=2 is below 4"):
        encoder("late", max_visual_tokens=2)


def test_a_tall_strip_of_a_page_is_embedded():
    rows = encoder("late").pages([Image.new("RGB", (20, 900), "white")])[0].rows
    assert np.isfinite(rows).all()


def test_a_page_too_narrow_for_the_family_is_refused_with_its_size():
    with pytest.raises(ModelError, match="a page of 3 x 900 px cannot be resized"):
        encoder("late").pages([Image.new("RGB", (3, 900), "white")])


def test_several_threads_and_workers_change_nothing():
    made, alone = encoder("late", workers=3, batch_tokens=120), encoder("late")
    many = PAGES * 3
    expected = [vectors.rows for vectors in alone.pages(many)]
    with ThreadPoolExecutor(max_workers=3) as pool:
        rounds = list(pool.map(lambda _: (made.pages(many), made.queries(["net margin"])), range(3)))
    for pages, queries in rounds:
        for vectors, rows in zip(pages, expected, strict=True):
            np.testing.assert_allclose(vectors.rows, rows, atol=1e-5)
        np.testing.assert_allclose(queries[0].rows, alone.queries(["net margin"])[0].rows, atol=1e-5)


def test_a_directory_that_moved_keeps_its_fingerprint(tmp_path):
    moved = checkpoints.damaged("late", tmp_path / "elsewhere" / "model")
    assert st.load(str(moved), settings=CPU).fingerprint == encoder("late").fingerprint


@pytest.mark.filterwarnings("ignore:`torch.jit")  # torch imports its own deprecated parts
def test_a_compiled_encoder_gives_the_same_vectors():
    plain = encoder("late").pages(PAGES)
    with torch.compiler.set_stance("force_eager"):  # compiling takes minutes without a GPU
        made = encoder("late", compile=True).pages(PAGES)
    for ours, theirs in zip(made, plain, strict=True):
        np.testing.assert_allclose(ours.rows, theirs.rows, atol=1e-5)
