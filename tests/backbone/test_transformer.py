"""The transformer layer computes the same to train as to serve."""

import pytest
import torch

from backbone.transformer import Layer


@pytest.mark.parametrize("learns", [False, True])
def test_tokens_attend_to_what_is_seen_as_torch_says_whether_gradients_are_wanted_or_not(
    *,
    learns: bool,
) -> None:
    torch.manual_seed(0)
    layer, states = Layer(32, 4, 64), torch.randn(3, 10, 32)
    seen = torch.arange(10)[None, None, None] < torch.tensor([10, 6, 1])[:, None, None, None]
    reference = torch.nn.TransformerEncoderLayer(
        32, 4, 64, activation="gelu", batch_first=True, dropout=0.0, layer_norm_eps=1e-12
    )
    own = layer.state_dict()
    names = {
        "self_attn.in_proj_": "attend.", "self_attn.out_proj.": "joined.", "norm1.": "attended.",
        "linear1.": "widen.", "linear2.": "narrow.", "norm2.": "done.",
    }  # fmt: skip
    reference.load_state_dict({a + c: own[b + c] for a, b in names.items() for c in ("weight", "bias")})
    with torch.set_grad_enabled(learns):
        found = layer(states, seen)
        wanted = reference(states, src_key_padding_mask=~seen[:, 0, 0])
    assert torch.allclose(found[seen[:, 0, 0]], wanted[seen[:, 0, 0]], atol=1e-5)
    if learns:
        for result in (found, wanted):
            (result.square() * seen[:, 0, 0, :, None]).sum().backward()
        weight = reference.get_parameter("self_attn.in_proj_weight")
        assert layer.attend.weight.grad is not None
        assert weight.grad is not None
        assert torch.allclose(layer.attend.weight.grad, weight.grad, atol=1e-4)
