import json
import sys

import numpy as np
import pytest

from domain.errors import ModelError
from domain.model import ModelSettings
from retrieve.adapters import convert as conversion
from retrieve.adapters import st
from tests import checkpoints

CPU = ModelSettings(device="cpu")


FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Checkpoints in the layout of colpali-engine, taken apart by it in one child process, which is slow."""
    root = tmp_path_factory.mktemp("colpali")
    with checkpoints.quiet():
        made = {family: checkpoints.colpali(root / family, family) for family in FAMILIES}
    conversion.take_apart({str(made[family]): root / f"{family}-parts" for family in FAMILIES})
    return root


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_converted_checkpoint_gives_the_vectors_of_colpali_engine(family, sources, tmp_path):
    source, target = sources / family, tmp_path / "target"
    with pytest.raises(ModelError, match="recto models convert"):
        st.load(str(source), settings=CPU)
    made = conversion.finish(str(source), sources / f"{family}-parts", target)
    width = 320 if family == "qwen3_vl" else 128
    assert made.difference <= 1e-5
    assert (made.family, made.dim) == (family, width)
    assert json.loads((target / "conversion.json").read_text())["difference"] == made.difference
    encoder = st.load(str(target), settings=CPU)
    assert encoder.dim == width
    assert encoder.queries(["net sales"])[0].labels[-10:] == ("<|endoftext|>",) * 10
    assert "colpali_engine" not in sys.modules


def test_a_model_whose_vectors_differ_is_not_accepted(tmp_path):
    encoder = st.load(str(checkpoints.built("late")), settings=CPU)
    pages = encoder.pages(conversion.probe.pages())
    queries = encoder.queries([pair.question for pair in conversion.probe.PAIRS])
    rows = {f"page{i}": v.rows for i, v in enumerate(pages)} | {
        f"query{i}": v.rows for i, v in enumerate(queries)
    }
    np.savez(tmp_path / "same.npz", **rows)
    assert conversion.agree(checkpoints.built("late"), tmp_path / "same.npz") < 1e-6
    np.savez(tmp_path / "off.npz", **{**rows, "query1": rows["query1"] + np.float32(0.01)})
    with pytest.raises(ModelError, match=r"differ from colpali-engine's by 0.01.*not accepted"):
        conversion.agree(checkpoints.built("late"), tmp_path / "off.npz")
    np.savez(tmp_path / "short.npz", **{**rows, "page0": rows["page0"][:-1]})
    with pytest.raises(ModelError, match="vectors for page0"):
        conversion.agree(checkpoints.built("late"), tmp_path / "short.npz")


def test_a_target_that_exists_is_left_alone(tmp_path):
    (tmp_path / "target").mkdir()
    with pytest.raises(ModelError, match="exists; name a new directory"):
        conversion.convert("vidore/colqwen2-v1.0", tmp_path / "target")


def test_a_source_that_is_nowhere_is_refused_before_anything_is_started(tmp_path):
    with pytest.raises(ModelError, match="neither a directory on this machine nor a repository"):
        conversion.convert(tmp_path / "nothing", tmp_path / "target")


def test_a_source_of_another_family_is_refused_and_leaves_nothing_behind(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_text(json.dumps({"model_type": "bert"}))
    with pytest.raises(ModelError, match="is a bert model; recto converts qwen2_vl, qwen2_5_vl, qwen3_vl"):
        conversion.convert(source, tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_the_template_keeps_quotes_and_newlines():
    record = {"page": 'a "b"\nc', "query_prefix": "Query: ", "query_suffix": "<x>"}
    made = conversion.template(record)
    assert '"a \\"b\\"\\nc"' in made
