"""CTs and masks from prompts, by networks with random weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from synth.core.errors import InputError
from synth.diffusion.ct.anatomy import halved_masks
from synth.diffusion.ct.channels import MASKS, to_network
from synth.diffusion.ct.pipeline import CtPipeline
from synth.diffusion.ct.stages import Stages, enlarged
from synth.diffusion.ct.tiles import encode_tiled
from synth.diffusion.flow import Guidance
from synth.diffusion.text.conditions import Conditions
from tests.diffusion.ct.models import pipeline

if TYPE_CHECKING:
    from pathlib import Path

PROMPTS = ["65 year old female. Small left pleural effusion.", "Mass.", "42 year old patient. Normal chest."]
SEEDS = [5, 6, 7]
FINE = (32, 32, 16)


@pytest.fixture(scope="module")
def pipe() -> CtPipeline:
    return pipeline(control=True)


def test_a_volume_does_not_depend_on_the_batch(pipe: CtPipeline) -> None:
    together = pipe(PROMPTS, seeds=SEEDS, guidance=1.5, size=FINE)
    assert (together.hu.shape, together.hu.dtype) == ((3, *FINE), np.int16)
    assert (together.masks.shape, together.masks.dtype) == ((3, len(MASKS), *FINE), np.bool_)
    assert together.names == MASKS
    assert -1000 <= together.hu.min() < together.hu.max() <= 1000
    assert 0 < together.masks.mean() < 1
    alone = pipe(PROMPTS[1], seeds=SEEDS[1:2], guidance=1.5, size=FINE)
    np.testing.assert_array_equal(alone.hu[0], together.hu[1])
    np.testing.assert_array_equal(alone.masks[0], together.masks[1])
    batched = pipe(PROMPTS, seeds=SEEDS, guidance=1.5, size=FINE, microbatch=2)
    assert np.abs(batched.hu.astype(int) - together.hu).max() <= 2


def test_all_that_is_asked_for_counts(pipe: CtPipeline) -> None:
    base = pipe(PROMPTS[0], seeds=[1], guidance=8.0).hu
    masks = np.zeros((1, len(MASKS), 16, 16, 16), np.bool_)
    others = {
        "seed": pipe(PROMPTS[0], seeds=[2], guidance=8.0),
        "words": pipe(PROMPTS[0].replace("left", "right"), seeds=[1], guidance=8.0),
        "age": pipe(PROMPTS[0].replace("65", "25"), seeds=[1], guidance=8.0),
        "negative": pipe(PROMPTS[0], seeds=[1], guidance=8.0, negative_prompt="Mass."),
        "guidance": pipe(PROMPTS[0], seeds=[1], guidance=1.0),
        "interval": pipe(PROMPTS[0], seeds=[1], guidance=Guidance(8.0, 0.5, 1.0)),
        "steps": pipe(PROMPTS[0], seeds=[1], guidance=8.0, steps=5),
        "spacing": pipe(PROMPTS[0], seeds=[1], guidance=8.0, spacing=2.0),
        "masks": pipe(PROMPTS[0], seeds=[1], guidance=8.0, masks=masks),
    }
    for name, other in others.items():
        assert (other.hu != base).any(), name
    masks[0, 0, 2:14, 2:14, 2:14] = True
    assert (pipe(PROMPTS[0], seeds=[1], guidance=8.0, masks=masks).hu != others["masks"].hu).any()
    as_conditions = pipe(Conditions("F", 65.0, impression="Small left pleural effusion."), seeds=[1], guidance=8.0)
    np.testing.assert_array_equal(as_conditions.hu, base)
    viewed = pipe(PROMPTS[0] + " Lateral view.", seeds=[1], guidance=8.0)
    np.testing.assert_array_equal(viewed.hu, base)


def test_finer_grids_follow_their_own_settings(pipe: CtPipeline) -> None:
    base = pipe(PROMPTS[0], seeds=[1], size=FINE).hu
    for change in ({"refine_steps": 4}, {"spacing": 1.0}, {"tile": 32}, {"seeds": [2]}):
        assert (pipe(PROMPTS[0], **{"seeds": [1], "size": FINE, **change}).hu != base).any(), change


def test_masks_are_asked_for_on_the_grid_of_the_volume(pipe: CtPipeline) -> None:
    coarse = np.zeros((1, len(MASKS), 16, 16, 8), np.bool_)
    coarse[0, 5, 4:12, 2:9, 3:6] = True
    fine = coarse.repeat(2, 2).repeat(2, 3).repeat(2, 4)
    wanted = pipe._control(coarse, 1, pipe.grid(coarse.shape[2:]))
    assert torch.equal(pipe._control(fine, 1, pipe.grid(FINE)), wanted)
    assert torch.equal(wanted, torch.from_numpy(coarse).to(wanted))
    ragged = np.random.default_rng(0).random(fine.shape) < 0.4
    halved = halved_masks(ragged[0], MASKS)[None]
    assert torch.equal(pipe._control(ragged, 1, pipe.grid(FINE)), torch.from_numpy(halved).to(wanted))


def test_the_affine_keeps_the_field_of_view(pipe: CtPipeline) -> None:
    for size, mm in (((16, 16, 16), 8.0), (FINE, 4.0)):
        made = pipe(PROMPTS[1], seeds=[0], size=size)
        np.testing.assert_allclose(np.diag(made.affine), [mm, mm, mm, 1])
        low = made.affine @ [-0.5, -0.5, -0.5, 1]
        np.testing.assert_allclose(low[:3], [-mm * side / 2 for side in size[::-1]])


def test_steps_are_told_over_all_volumes(pipe: CtPipeline) -> None:
    told: list[tuple[int, int]] = []
    pipe(PROMPTS, seeds=SEEDS, size=FINE, progress=lambda *one: told.append(one), microbatch=2)
    assert told[-1] == (3 * (3 + 2), 3 * (3 + 2))
    assert [done for done, _ in told] == sorted({done for done, _ in told})


def test_what_cannot_be_made_is_refused(pipe: CtPipeline) -> None:
    for wrong, options in {
        "2 seeds for 3 prompts": {"seeds": [1, 2]},
        "multiples of 8": {"size": (12, 16, 16)},
        "steps 0": {"steps": 0},
        "refine_steps 0": {"refine_steps": 0},
        "tile 20": {"tile": 20},
        "masks: expected an array of shape": {"masks": np.zeros((3, 2, 16, 16, 16), np.bool_)},
    }.items():
        with pytest.raises(InputError, match=wrong):
            pipe(PROMPTS, **options)
    with pytest.raises(InputError, match="no refiner; give at most 16 × 16 × 16"):
        pipeline(refiner=False)(PROMPTS, size=FINE)
    with pytest.raises(InputError, match="no control branch"):
        pipeline()(PROMPTS[:1], masks=np.zeros((1, len(MASKS), 16, 16, 16), np.bool_))


def test_what_is_saved_is_loaded_again(pipe: CtPipeline, tmp_path: Path) -> None:
    pipe.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_bytes())
    assert index["_class_name"] == "CtPipeline"
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".pt")]
    again = CtPipeline.from_pretrained(tmp_path)
    np.testing.assert_array_equal(again(PROMPTS[0], seeds=[3], size=FINE).hu, pipe(PROMPTS[0], seeds=[3], size=FINE).hu)


def test_enlarging_keeps_the_place_of_everything() -> None:
    hu = np.zeros((1, 4, 4, 4), np.int16)
    hu[0, 1:3, 1:3, 1:3] = 900
    masks = hu[:, None] > 0
    fine = enlarged(to_network(hu, masks))
    assert set(fine[:, 1:].unique().tolist()) == {-1.0, 1.0}
    assert fine[0, 1].nonzero().float().mean(0).tolist() == [3.5, 3.5, 3.5]
    grid = torch.stack(torch.meshgrid(*[torch.arange(8.0)] * 3, indexing="ij"), dim=-1)
    weight = fine[0, 0] + 1e-9 - fine[0, 0].min()
    centre = (grid * weight[..., None]).sum((0, 1, 2)) / weight.sum()
    torch.testing.assert_close(centre, torch.full((3,), 3.5))


def test_the_coarse_latents_are_those_of_the_whole_enlarged_volume(pipe: CtPipeline) -> None:
    rng = np.random.default_rng(1)
    hu = rng.integers(-1000, 1000, (20, 12, 16)).astype(np.int16)
    masks = rng.random((len(MASKS), 20, 12, 16)) < 0.3
    whole = encode_tiled(pipe.vae, enlarged(to_network(hu[None], masks[None])), tile=64)
    for tile in (3, 4):
        stages = Stages(pipe.vae, None, 1, 0.0, tile)
        with torch.no_grad():
            torch.testing.assert_close(stages.coarse((hu, masks)), whole, atol=1e-5, rtol=1e-5)
