"""The tiny configuration, from nothing to a model that the product loads."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import training
from domain.errors import UsageError
from domain.model import ModelSettings
from retrieve.adapters.builtin import load
from training.encoder import Step, train_encoder
from training.encoder_config import read_config

TINY = Path(training.__file__).parent / "configs" / "encoder-tiny.toml"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("run") / "a" / "b" / "tiny.toml"
    place.parent.mkdir(parents=True)
    shutil.copy(TINY, place)
    return place


@pytest.fixture(scope="module")
def model(config: Path) -> Path:
    steps: list[Step] = []
    found = train_encoder(config, progress=steps.append)
    assert [step.step for step in steps] == list(range(1, 301))
    return found


def test_the_tiny_configuration_beats_chance(model: Path) -> None:
    found = json.loads((model / "training.json").read_text())
    assert found["named_right"] > 4 * found["chance"]


def test_a_trained_model_is_what_the_product_loads(model: Path) -> None:
    encoder = load(f"builtin:{model}", settings=ModelSettings(dtype="float32"))
    (query,) = encoder.queries(["bado kelimu"])
    assert query.labels == ("bado", "kelimu")
    assert query.rows.shape == (2, encoder.dim) == (2, 32)


def test_a_finished_run_resumes_without_a_step(model: Path, config: Path) -> None:
    steps: list[Step] = []
    assert train_encoder(config, resume=True, progress=steps.append) == model
    assert steps == []


def test_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text('output = "x"\nstepz = 3\n')
    with pytest.raises(UsageError, match="stepz"):
        read_config(wrong)


def test_a_run_from_a_finished_model_goes_on_where_it_was(model: Path, config: Path, tmp_path: Path) -> None:
    tiny = config.read_text().replace('output = "', f'start = "{model}"\noutput = "')
    plain = "\n".join(line for line in tiny.splitlines() if not line.startswith(("steps", "output")))
    again = tmp_path / "again.toml"
    again.write_text(f'output = "{tmp_path}/run"\nsteps = 1\n{plain}\n')
    found = train_encoder(again)
    before, after = load_file(model / "model.safetensors"), load_file(found / "model.safetensors")
    for name in ("words.codes", "words.scales", "worths.values"):
        assert torch.equal(before[name], after[name])
    assert not torch.equal(before["page.strokes.1.conv.weight"], after["page.strokes.1.conv.weight"])
    named = json.loads((found / "training.json").read_text())
    assert named["named_right"] > 0.8 * json.loads((model / "training.json").read_text())["named_right"]
    assert (found / "ranges.json").is_file()
