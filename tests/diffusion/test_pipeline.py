"""Pictures and masks from prompts, by networks with random weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from diffusers import FlowMatchEulerDiscreteScheduler

from synth.core.errors import InputError
from synth.diffusion.cxr.pipeline import CxrPipeline
from synth.diffusion.flow import FlowScheduler, Guidance
from synth.diffusion.text.conditions import Conditions
from tests.diffusion.models import NAMES, pipeline

if TYPE_CHECKING:
    from pathlib import Path

PROMPTS = ["65 year old female. Small left pleural effusion.", "Mass. AP view.", "42 year old patient. Normal chest."]
SEEDS = [5, 6, 7]


@pytest.fixture(scope="module")
def pipe() -> CxrPipeline:
    return pipeline(control=True)


def test_a_picture_does_not_depend_on_the_batch(pipe: CxrPipeline) -> None:
    together = pipe(PROMPTS, seeds=SEEDS, guidance=1.5)
    assert together.images.shape == (3, 32, 32)
    assert together.masks is not None
    assert together.masks.shape == (3, len(NAMES), 32, 32)
    assert together.structures == NAMES
    assert 0 <= together.images.min() < together.images.max() <= 1
    alone = pipe(PROMPTS[1], seeds=SEEDS[1:2], guidance=1.5)
    assert np.array_equal(alone.images[0], together.images[1])
    assert np.array_equal(alone.masks[0], together.masks[1])
    batched = pipe(PROMPTS, seeds=SEEDS, guidance=1.5, microbatch=2)
    np.testing.assert_allclose(batched.images, together.images, atol=1e-5)


def test_seed_prompt_and_negative_prompt_count(pipe: CxrPipeline) -> None:
    base = pipe(PROMPTS[0], seeds=[1], guidance=2.0).images
    others = [
        pipe(PROMPTS[0], seeds=[2], guidance=2.0),
        pipe(PROMPTS[2], seeds=[1], guidance=2.0),
        pipe(PROMPTS[0], seeds=[1], guidance=2.0, negative_prompt="Mass."),
        pipe(PROMPTS[0], seeds=[1], guidance=1.0),
        pipe(PROMPTS[0], seeds=[1], guidance=Guidance(2.0, 0.5, 1.0)),
        pipe(PROMPTS[0], seeds=[1], guidance=2.0, num_inference_steps=5),
    ]
    for number, other in enumerate(others):
        assert np.abs(other.images - base).max() > 1e-6, number
    as_conditions = pipe(Conditions("F", 65.0, impression="Small left pleural effusion."), seeds=[1], guidance=2.0)
    assert np.array_equal(as_conditions.images, base)


def test_images_are_changed_by_their_strength(pipe: CxrPipeline) -> None:
    image = pipe(PROMPTS, seeds=SEEDS).images
    kept = pipe.encoded(image)
    little = pipe(PROMPTS, seeds=[8, 9, 10], image=image, strength=0.01).latents
    much = pipe(PROMPTS, seeds=[8, 9, 10], image=image, strength=1.0).latents
    assert (little - kept).abs().mean() < 0.2 * (much - kept).abs().mean()


def test_what_is_not_painted_anew_stays(pipe: CxrPipeline) -> None:
    image = pipe(PROMPTS, seeds=SEEDS).images
    free = np.zeros((3, 32, 32), bool)
    free[:, :16, 8:] = True
    painted = pipe(PROMPTS, seeds=[8, 9, 10], image=image, mask_image=free).images
    assert np.array_equal(painted[~free], image[~free])
    assert np.abs(painted[free] - image[free]).mean() > 1e-3


def test_masks_as_the_condition(pipe: CxrPipeline) -> None:
    masks = np.zeros((3, len(NAMES), 32, 32), bool)
    without = pipe(PROMPTS, seeds=SEEDS, control=masks).images
    masks[:, 0, 8:24, 8:24] = True
    assert np.abs(pipe(PROMPTS, seeds=SEEDS, control=masks).images - without).max() > 1e-6


def test_other_schedulers_serve(pipe: CxrPipeline) -> None:
    ours = pipe.scheduler
    try:
        pipe.scheduler = FlowMatchEulerDiscreteScheduler()
        theirs = pipe(PROMPTS, seeds=SEEDS).images
        pipe.scheduler = FlowScheduler("euler")
        np.testing.assert_allclose(pipe(PROMPTS, seeds=SEEDS).images, theirs, atol=1e-6)
    finally:
        pipe.scheduler = ours


def test_a_folder_holds_all_of_it(tmp_path: Path) -> None:
    pipe = pipeline(control=True)
    pipe.save_pretrained(tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_bytes())
    assert index["vae"] == ["synth.diffusion.cxr.autoencoder", "CxrAutoencoder"]
    assert not list(tmp_path.rglob("*.bin"))
    again = CxrPipeline.from_pretrained(tmp_path)
    again.set_progress_bar_config(disable=True)
    a, b = (one(PROMPTS, seeds=SEEDS, guidance=1.5) for one in (pipe, again))
    assert np.array_equal(a.images, b.images)
    assert np.array_equal(a.masks, b.masks)


def test_a_model_without_masks_has_none(tmp_path: Path) -> None:
    pipe = pipeline(masks=False)
    pipe.save_pretrained(tmp_path)
    made = CxrPipeline.from_pretrained(tmp_path)(PROMPTS[:1])
    assert made.masks is None
    assert made.structures == ()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"seeds": [1]}, "1 seeds for 3 prompts"),
        ({"height": 33}, "multiples of 16"),
        ({"image": np.zeros((1, 32, 32), np.float32)}, "image: expected"),
        ({"image": np.zeros((3, 32, 32), np.float32), "strength": 0.0}, "strength 0"),
        ({"mask_image": np.zeros((3, 32, 32), bool)}, "give image too"),
        ({"control": np.zeros((3, 1, 32, 32), bool)}, "control: expected"),
        ({"num_inference_steps": -1}, "steps"),
    ],
)
def test_what_does_not_fit_is_refused(pipe: CxrPipeline, options: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        pipe(PROMPTS, **options)
    with pytest.raises(InputError, match="no control branch"):
        pipeline()(PROMPTS[:1], control=np.zeros((1, 3, 32, 32), bool))
