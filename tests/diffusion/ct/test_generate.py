"""Any model asked for CTs, from its folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from synth.core.errors import InputError
from synth.core.volume import Labels
from synth.diffusion.ct import own_model
from synth.diffusion.ct.anatomy import anatomy_on_grid
from synth.diffusion.ct.channels import MASKS, label_map
from synth.diffusion.ct.generate import Asked, Settings, generate
from synth.diffusion.ct.grid import affine_of
from synth.diffusion.ct.loading import find_ct_model, load_ct_model, load_ct_pipeline
from synth.diffusion.ct.memory import peak_bytes
from synth.diffusion.model_folder import find_model
from tests.diffusion.ct.models import pipeline
from tests.diffusion.models import pipeline as cxr_pipeline

if TYPE_CHECKING:
    from pathlib import Path

    from synth.diffusion.ct.generate import CtModel

PROMPTS = ["65 year old female. Small left pleural effusion.", "Mass.", "42 year old patient. Normal chest."]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ct")
    pipeline(control=True).save_pretrained(root)
    return root


@pytest.fixture(scope="module")
def model(folder: Path) -> CtModel:
    return load_ct_model(str(folder), device="cpu", dtype="float32")


def heart() -> Labels:
    array = np.zeros((8, 8, 8), np.uint8)
    array[2:6, 1:5, 3:7] = 1
    affine = affine_of((8, 8, 8), (16, 16, 16))
    affine[:3, 3] += [10, 20, -30]
    return Labels(array, affine, {1: "heart"})


def test_a_ct_of_every_prompt_whatever_the_batch(model: CtModel) -> None:
    asked = Asked(PROMPTS, [1, 2, 3])
    made = list(generate(model, asked))
    assert [one.seed for one in made] == [1, 2, 3]
    assert [one.conditions.sex for one in made] == ["F", None, None]
    (alone,) = generate(model, asked.part(1, 2))
    np.testing.assert_array_equal(alone.drawn.hu, made[1].drawn.hu)
    direct = pipeline(control=True)(PROMPTS[1], seeds=[2])
    np.testing.assert_array_equal(direct.hu[0], made[1].drawn.hu)
    for one in made:
        array, names = label_map(one.drawn.masks, one.drawn.names)
        np.testing.assert_array_equal(one.drawn.labels.array, array)
        assert one.drawn.labels.names == names
        np.testing.assert_array_equal(one.drawn.labels.affine, one.drawn.affine)


def test_anatomy_is_followed_where_it_lies(model: CtModel) -> None:
    assert model.controls == MASKS
    asked = Asked(PROMPTS[:1], [1], [heart()])
    (made,) = generate(model, asked)
    middle = made.drawn.affine @ [7.5, 7.5, 7.5, 1]
    np.testing.assert_allclose(middle[:3], [10, 20, -30])
    masks = anatomy_on_grid(heart(), MASKS, (16, 16, 16), made.drawn.affine)
    direct = pipeline(control=True)(PROMPTS[0], seeds=[1], masks=masks[None])
    np.testing.assert_array_equal(made.drawn.hu, direct.hu[0])


def test_weights_lie_as_torch_lays_them(model: CtModel) -> None:
    networks = [part for part in model.pipe.components.values() if isinstance(part, torch.nn.Module)]
    assert len(networks) == 5
    assert {one.data_ptr() % 64 for part in networks for one in part.state_dict().values()} == {0}


def test_settings_that_are_out_of_range() -> None:
    for wrong in ({"steps": 0}, {"refine_steps": 2000}, {"guidance": -1.0}, {"tile": 2}, {"interval": (0.8, 0.2)}):
        with pytest.raises(InputError):
            Settings(**wrong)
    with pytest.raises(InputError, match="2 seeds for 1 prompts"):
        Asked(["Mass."], [1, 2])


def test_a_folder_is_known_by_its_index(folder: Path, tmp_path: Path) -> None:
    assert find_ct_model(str(folder)).digest == load_ct_model(str(folder), dtype="float32", device="cpu").digest
    assert load_ct_pipeline(str(folder)).config.voxels == [16, 16, 16]
    with pytest.raises(InputError, match="holds a 'CtPipeline'; CxrPipeline and StableDiffusionPipeline can be"):
        find_model(str(folder))
    cxr_pipeline().save_pretrained(tmp_path / "cxr")
    with pytest.raises(InputError, match="holds a 'CxrPipeline'; CtPipeline can be"):
        find_ct_model(str(tmp_path / "cxr"))
    with pytest.raises(InputError, match="no model there"):
        find_ct_model(str(tmp_path))


def test_half_precision_leaves_the_autoencoder_as_it_is(folder: Path) -> None:
    model = load_ct_model(str(folder), device="cpu", dtype="bfloat16")
    assert {str(part.dtype) for part in (model.pipe.transformer, model.pipe.refiner)} == {"torch.bfloat16"}
    assert str(model.pipe.vae.dtype) == "torch.float32"
    (made,) = generate(model, Asked(PROMPTS[:1], [1]), Settings(size=(32, 32, 32), spacing=(3.0, 2.0, 1.0)))
    np.testing.assert_allclose(np.diag(made.drawn.affine), [1, 2, 3, 1])
    assert made.drawn.hu.shape == (32, 32, 32)


def test_what_memory_is_too_small_for_names_what_fits(model: CtModel, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(size=(128, 128, 128), tile=128)
    plan, fits = (peak_bytes(model.pipe, (128,) * 3, tile=tile, batch=1) for tile in (128, 32))
    assert model.memory(settings) == str(plan)
    monkeypatch.setattr(own_model, "available_bytes", lambda device: fits.total)
    with pytest.raises(InputError, match=r"GiB are free; give --tile 32 --batch 1"):
        model.memory(settings)
    monkeypatch.setattr(own_model, "available_bytes", lambda device: 1)
    with pytest.raises(InputError, match="give a smaller --size"):
        model.memory(settings)


def test_a_model_without_control_takes_no_anatomy(tmp_path: Path) -> None:
    pipeline().save_pretrained(tmp_path)
    model = load_ct_model(str(tmp_path), device="cpu", dtype="float32")
    with pytest.raises(InputError, match="masks: this model takes none"):
        list(generate(model, Asked(PROMPTS[:1], [1], [heart()])))
