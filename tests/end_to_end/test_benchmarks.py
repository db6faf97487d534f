"""The benchmark of full-size models builds what its names say; nothing is allocated to see that."""

import pytest

from benchmarks.models_shapes import FULL, _random
from tests import checkpoints


@pytest.mark.parametrize(
    ("name", "billions"), [("colqwen2-2b", 2.2), ("qwen3-vl-reranker-2b", 2.4), ("qwen3-vl-reranker-8b", 8.8)]
)
def test_a_full_size_shape_has_the_parameters_of_its_model(name, billions):
    model = _random(FULL[name], checkpoints.tokenizer(), "meta")
    assert sum(p.numel() for p in model.parameters()) / 1e9 == pytest.approx(billions, rel=0.03)
    assert {str(p.dtype) for p in model.parameters()} == {"torch.bfloat16"}
