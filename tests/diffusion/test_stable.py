"""Stable-Diffusion-style pipelines: what diffusers draws with them, batch by batch the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DDPMScheduler,
    PNDMScheduler,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
)

from synth.core.errors import InputError
from synth.diffusion.cxr.generate import Asked, Settings, generate
from synth.diffusion.flow import noise_of
from synth.diffusion.stable import StableModel, _times
from synth.diffusion.text.conditions import Conditions
from tests.diffusion.stable_models import stable_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PROMPTS = ["65 year old", "mass.", "edema"]
SEEDS = [5, 6, 7]
FEW = Settings(steps=4)


@pytest.fixture(scope="module")
def pipes(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], StableDiffusionPipeline]:
    made = {n: stable_pipeline(tmp_path_factory.mktemp("words"), channels=n) for n in (1, 3)}
    return made.__getitem__


@pytest.fixture
def model(pipes: Callable[[int], StableDiffusionPipeline]) -> StableModel:
    return StableModel(pipes(3), "0" * 64)


def grey(images: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, h, w) of (n, h, w, c)."""
    return images[..., 0] if images.shape[-1] == 1 else images @ np.float32([0.299, 0.587, 0.114])


def latents(pipe: StableDiffusionPipeline) -> torch.Tensor:
    return noise_of(SEEDS, (pipe.unet.config.in_channels, 16, 16))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_picture_is_that_of_diffusers(channels: int, pipes: Callable[[int], StableDiffusionPipeline]) -> None:
    pipe = pipes(channels)
    drawn = StableModel(pipe, "").draw(Asked(PROMPTS, SEEDS), Settings(4, 3.0, negative="normal")).images
    options = {"num_inference_steps": 4, "guidance_scale": 3.0, "negative_prompt": ["normal"] * 3}
    theirs = pipe(PROMPTS, latents=latents(pipe), output_type="np", **options).images
    np.testing.assert_allclose(drawn, grey(theirs), atol=2e-5)
    assert drawn.std() > 1e-3
    assert np.abs(drawn - StableModel(pipe, "").draw(Asked(PROMPTS, SEEDS), FEW).images).max() > 1e-4


def test_seventy_five_steps_of_guidance_three_are_usual(model: StableModel) -> None:
    usual = model.draw(Asked(PROMPTS[:1], [1]), Settings()).images
    assert np.array_equal(usual, model.draw(Asked(PROMPTS[:1], [1]), Settings(75, 3.0)).images)


def test_a_picture_does_not_depend_on_the_batch(model: StableModel) -> None:
    together = model.draw(Asked(PROMPTS, SEEDS), FEW).images
    assert together.shape == (3, 32, 32)
    assert np.array_equal(model.draw(Asked(PROMPTS[1:2], SEEDS[1:2]), FEW).images[0], together[1])
    batched = model.draw(Asked(PROMPTS, SEEDS), Settings(4, microbatch=2)).images
    np.testing.assert_allclose(batched, together, atol=1e-5)
    yielded = [one.image for one in generate(model, Asked(PROMPTS, SEEDS), FEW)]
    assert np.array_equal(yielded, together)


def test_solvers_that_draw_noise_draw_each_pictures_own(model: StableModel) -> None:
    pndm = model.pipe.scheduler
    try:
        model.pipe.scheduler = DDPMScheduler.from_config(pndm.config, clip_sample=False)
        together = model.draw(Asked(PROMPTS, SEEDS), FEW).images
        assert np.array_equal(model.draw(Asked(PROMPTS[1:2], SEEDS[1:2]), FEW).images[0], together[1])
        np.testing.assert_allclose(
            model.draw(Asked(PROMPTS, SEEDS), Settings(4, microbatch=3)).images, together, atol=1e-5
        )
    finally:
        model.pipe.scheduler = pndm


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_image_to_image_is_that_of_diffusers(model: StableModel, strength: float) -> None:
    pipe, pndm = model.pipe, model.pipe.scheduler
    image = model.draw(Asked(PROMPTS, SEEDS), FEW).images
    try:
        pipe.scheduler = DDIMScheduler.from_config(pndm.config, clip_sample=False)
        drawn = model.draw(Asked(PROMPTS, SEEDS, image), Settings(4, strength=strength)).images
        known = model._encoded(image)
        other = StableDiffusionImg2ImgPipeline(**pipe.components, requires_safety_checker=False)
        other.set_progress_bar_config(disable=True)
        pipe.scheduler.set_timesteps(4)
        start = pipe.scheduler.timesteps[4 - round(4 * strength) :][:1]
        noised = pipe.scheduler.add_noise(known, latents(pipe), start)
        other.prepare_latents = lambda *_, **__: noised
        theirs = other(PROMPTS, image, strength, 4, guidance_scale=3.0, output_type="np").images
        np.testing.assert_allclose(drawn, grey(theirs), atol=2e-5)
    finally:
        pipe.scheduler = pndm


def test_multistep_from_the_middle_ends_at_the_picture() -> None:
    """A network that always predicts the noise that is there: every solver then ends at the data it came from."""
    scheduler = PNDMScheduler(skip_prk_steps=True, steps_offset=1, beta_schedule="scaled_linear", set_alpha_to_one=True)
    data, noise = torch.full((1, 1, 2, 2), 0.5), noise_of([3], (1, 2, 2))
    times = _times(scheduler, 10, 0.6, "cpu")
    sample = scheduler.add_noise(data, noise, times[:1])
    for time in times:
        sample = scheduler.step(noise, time, sample, return_dict=False)[0]
    assert len(times) == 7
    assert (sample - data).abs().max() < 0.02


def test_what_is_not_painted_anew_stays(model: StableModel) -> None:
    image = model.draw(Asked(PROMPTS, SEEDS), FEW).images
    free = np.zeros(image.shape, bool)
    free[:, :16, 8:] = True
    painted = model.draw(Asked(PROMPTS, [8, 9, 10], image, free), FEW).images
    assert np.array_equal(painted[~free], image[~free])
    assert np.abs(painted[free] - image[free]).mean() > 1e-3


def test_inpainting_is_that_of_diffusers(model: StableModel) -> None:
    pipe, pndm = model.pipe, model.pipe.scheduler
    image = model.draw(Asked(PROMPTS, SEEDS), FEW).images
    free = np.zeros(image.shape, bool)
    free[:, :16, 8:] = True
    try:
        pipe.scheduler = DDIMScheduler.from_config(pndm.config, clip_sample=False)
        drawn = model.draw(Asked(PROMPTS, SEEDS, image, free), FEW).images
        other = StableDiffusionInpaintPipeline(**pipe.components, requires_safety_checker=False)
        other.set_progress_bar_config(disable=True)
        known, noise = model._encoded(image), latents(pipe)
        pipe.scheduler.set_timesteps(4)
        noised = pipe.scheduler.add_noise(known, noise, pipe.scheduler.timesteps[:1])
        other.prepare_latents = lambda *_, **__: (noised, noise, known)
        masks = torch.from_numpy(free.astype(np.float32))[:, None]
        pictures = torch.from_numpy(image)[:, None].expand(-1, 3, -1, -1)
        theirs = other(
            PROMPTS, pictures, masks, strength=1.0, num_inference_steps=4, guidance_scale=3.0, output_type="np"
        ).images
        np.testing.assert_allclose(drawn[free], grey(theirs)[free], atol=2e-5)
    finally:
        pipe.scheduler = pndm


def test_conditions_are_written_as_a_prompt(model: StableModel) -> None:
    asked = Conditions("F", 65.0, impression="Mass.")
    drawn = model.draw(Asked([asked], [1]), FEW).images
    assert np.array_equal(drawn, model.draw(Asked(["65 year old female. Mass."], [1]), FEW).images)
    assert set(model.text_cache) == {"65 year old female. Mass.", ""}


def test_what_it_cannot_do(model: StableModel, pipes: Callable[[int], StableDiffusionPipeline]) -> None:
    image = np.zeros((1, 32, 32), np.float32)
    with pytest.raises(InputError, match="control"):
        model.draw(Asked(["a"], [1], masks=[{"heart": image[0] > 0}]), FEW)
    with pytest.raises(InputError, match="invert"):
        model.draw(Asked(["a"], [1], image, sources=["b"]), FEW)
    pipe = pipes(3)
    pipe.unet.register_to_config(in_channels=9)
    try:
        with pytest.raises(InputError, match="inpainting alone"):
            StableModel(pipe, "")
    finally:
        pipe.unet.register_to_config(in_channels=4)
