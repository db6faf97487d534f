"""Linear layers in bytes say what those in floats say, of each token alone, or are not used at all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

import models
from backbone import integers
from backbone.integers import ByteLinear, bytes_add_up, bytes_pay, linear_bytes_pay, linear_in_bytes
from backbone.transformer import Layer
from retrieve.dense import PageText, load

able = pytest.mark.skipif(not bytes_pay(), reason="torch has no products of bytes for this processor")
LEVELS = 255 if bytes_add_up() else 127


@pytest.fixture(autouse=True)
def _asked_again() -> Iterator[None]:
    integers._adds_up.cache_clear()
    yield
    integers._adds_up.cache_clear()


def kinds(network: nn.Module) -> set[type[nn.Module]]:
    return {type(part) for part in network.modules() if isinstance(part, nn.Linear | ByteLinear)}


@able
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_a_layer_in_bytes_gives_what_the_layer_gives(shift: float) -> None:
    torch.manual_seed(0)
    layer, states = nn.Linear(96, 40), torch.randn(2, 7, 96) + shift
    states[0, 0] = 0.0
    states[0, 1] = 2.5  # one number throughout has no range
    with torch.inference_mode():
        wanted, found = layer(states), ByteLinear(layer, LEVELS)(states)
    assert found.shape == wanted.shape
    assert (found - wanted).abs().mean() < 0.03 * wanted.abs().mean()
    assert torch.allclose(found[0, :2], wanted[0, :2], atol=0.03)


@able
def test_a_token_gets_the_same_bits_in_any_company() -> None:
    torch.manual_seed(0)
    layer, states = ByteLinear(nn.Linear(64, 48), LEVELS), torch.randn(33, 64)
    states[5] *= 1000
    together = layer(states)
    assert all(torch.equal(layer(states[at : at + 1])[0], together[at]) for at in range(len(states)))


@able
def test_the_transformer_of_a_network_is_put_into_bytes_and_nothing_else() -> None:
    torch.manual_seed(0)
    network = nn.ModuleList([Layer(32, 4, 64), nn.Linear(32, 1)]).eval()
    states, seen = torch.randn(3, 10, 32), torch.ones(3, 1, 1, 10, dtype=torch.bool)
    with torch.inference_mode():
        wanted = network[0](states, seen)
        assert linear_in_bytes(network)
        found = network[0](states, seen)
    assert type(network[1]) is nn.Linear
    assert kinds(network[0]) == {ByteLinear}
    assert nn.functional.cosine_similarity(found, wanted, dim=-1).min() > 0.99


@pytest.mark.parametrize(
    ("halves", "quick", "wanted"), [(False, True, True), (True, True, False), (False, False, False)]
)
def test_bytes_are_for_processors_without_bfloat16(
    monkeypatch: pytest.MonkeyPatch, *, halves: bool, quick: bool, wanted: bool
) -> None:
    monkeypatch.setattr(integers, "halves_pay", lambda _device: halves)
    monkeypatch.setattr(integers, "bytes_pay", lambda: quick)
    assert linear_bytes_pay() is wanted


@able
def test_sums_that_are_cut_off_are_noticed_before_they_are_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    right, layer = integers._product, Layer(32, 4, 64)
    monkeypatch.setattr(integers, "_product", lambda *given: right(*given).clamp(-(2**15), 2**15 - 1))
    assert not linear_in_bytes(layer)
    assert kinds(layer) == {nn.Linear}
    assert "wrong on this machine" in caplog.text


def test_a_torch_without_products_of_bytes_stays_with_floats(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def missing(*_: object) -> None:
        raise RuntimeError("unknown operator")

    monkeypatch.setattr(integers, "_packed", missing)
    assert not linear_in_bytes(Layer(32, 4, 64))
    assert "unknown operator" in caplog.text


PAGES = [
    "The operating margin rose to twelve percent while cash flow fell.",
    "Fever and pain of the joints are the commonest side effects.",
    "The museum is closed on Mondays; wheelchairs can be borrowed at the desk.",
]


@able
def test_the_text_tower_that_ships_says_the_same_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integers, "halves_pay", lambda _device: False)

    def said() -> NDArray[np.float32]:
        tower = load(Path(models.__file__).parent / "text")
        rows = [own.rows for own in tower.passages([PageText("", text) for text in PAGES])]
        return np.concatenate([*rows, tower.queries(["Which side effects does the drug have?"])[0].rows])

    rounded = said()
    monkeypatch.setattr(integers, "bytes_pay", lambda: False)
    exact = said()
    assert not np.array_equal(rounded, exact)
    assert (rounded * exact).sum(1).min() > 0.98
    assert (rounded[:-1] @ rounded[-1]).argmax() == 1
