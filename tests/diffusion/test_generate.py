"""What holds for every model: settings, sizes, tiles, counterfactuals; a model whose pictures are known stands in."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synth.core.errors import InputError
from synth.diffusion.cxr.counterfactual import Change, invert
from synth.diffusion.cxr.generate import Asked, Drawn, Settings, generate
from synth.diffusion.cxr.own_model import OwnModel
from synth.diffusion.cxr.upscale import refine, resize, resize_mask, tile_starts
from synth.diffusion.flow import Guidance
from synth.diffusion.text.conditions import Conditions
from tests.diffusion.models import NAMES, pipeline

SIDE = 32


@dataclass
class Ramps:
    """Draws a ramp as steep as the seed says; given an image, that image moved by its strength."""

    side: int = SIDE
    digest: str = ""
    microbatch: int = 2
    controls: tuple[str, ...] = ()
    calls: list[tuple[int, Settings]] = field(default_factory=list)

    def draw(self, asked: Asked, settings: Settings) -> Drawn:
        self.calls.append((len(asked.prompts), settings))
        if asked.images is not None:
            return Drawn(asked.images + settings.strength * (np.float32(1) - asked.images))
        ramp = np.linspace(0, 1, self.side, dtype=np.float32)
        images = np.stack([np.tile(ramp * seed / 10, (self.side, 1)) for seed in asked.seeds])
        return Drawn(images, images[:, None] > 0.25, ("bright",))


@pytest.fixture(scope="module")
def own() -> OwnModel:
    return OwnModel(pipeline(control=True).to(torch.float32), "")


def test_pictures_come_a_microbatch_at_a_time() -> None:
    model = Ramps()
    made = generate(model, Asked(["65 year old female. Mass.", Conditions("M"), ""], [2, 4, 6]))
    first = next(made)
    assert len(model.calls) == 1
    rest = list(made)
    assert [n for n, _ in model.calls] == [2, 1]
    assert [one.image.max() for one in (first, *rest)] == pytest.approx([0.2, 0.4, 0.6])
    assert first.conditions == Conditions("F", 65.0, impression="Mass.")
    assert [one.seed for one in rest] == [4, 6]
    assert list(rest[0].masks) == ["bright"]
    list(generate(model, Asked(["", ""], [1, 1]), Settings(microbatch=1)))
    assert [n for n, _ in model.calls[2:]] == [1, 1]


@pytest.mark.parametrize("size", [16, 48, 64])
def test_sizes_are_resampled(size: int) -> None:
    (made,) = generate(Ramps(), Asked([""], [10]), Settings(size=size))
    assert made.image.shape == made.masks["bright"].shape == (size, size)
    ramp = (np.arange(size) + 0.5) * SIDE / size - 0.5
    wanted = np.clip(ramp / (SIDE - 1), 0, 1)
    np.testing.assert_allclose(made.image[size // 2, 4:-4], wanted[4:-4], atol=0.01)
    boundary = np.flatnonzero(made.masks["bright"][0])[0]
    assert abs(boundary - 8 * size / SIDE) <= 1


def test_larger_pictures_are_gone_over_in_tiles() -> None:
    model = Ramps()
    plain, refined = (
        next(generate(model, Asked([""], [5]), Settings(size=80, refine=strength))).image for strength in (0.0, 0.25)
    )
    np.testing.assert_allclose(refined, plain + 0.25 * (1 - plain), atol=1e-6)  # whatever the tiles: no seams
    assert [(n, settings.strength) for n, settings in model.calls] == [(1, 0.6), (1, 0.6), (16, 0.25)]
    next(generate(model, Asked([""], [5]), Settings(size=16, refine=0.5)))
    assert len(model.calls) == 4  # a smaller one is not


@given(st.integers(8, 40), st.integers(0, 200))
def test_tiles_cover_all(tile: int, more: int) -> None:
    starts = tile_starts(tile + more, tile)
    assert starts[0] == 0
    assert starts[-1] == more
    assert all(0 < b - a <= tile / 2 + 1 for a, b in pairwise(starts))


def test_every_tile_has_noise_of_its_own() -> None:
    seeds: list[int] = []

    def redraw(tiles: np.ndarray, own_seeds: list[int]) -> np.ndarray:
        seeds.extend(own_seeds)
        return tiles

    image = np.random.default_rng(0).random((48, 48), np.float32)
    np.testing.assert_allclose(refine(redraw, image, 32, 7), image, atol=1e-6)
    assert len(set(seeds)) == len(seeds) == 4


def test_resizing_keeps_what_is_flat_and_the_middle_of_masks() -> None:
    np.testing.assert_allclose(resize(np.full((8, 8), 0.3, np.float32), 20), 0.3, atol=1e-6)
    mask = np.zeros((8, 8), bool)
    mask[2:6, 2:6] = True
    assert resize_mask(mask, 16).sum() == pytest.approx(64, abs=8)
    assert np.array_equal(resize_mask(mask, 8), mask)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"steps": 0}, "steps 0"),
        ({"size": 8}, "size 8"),
        ({"size": 10_000}, "size 10000"),
        ({"microbatch": 0}, "batch 0"),
        ({"refine": 1.5}, "refine 1.5"),
        ({"strength": 0.0}, "strength 0"),
        ({"guidance": -1.0}, "guidance -1"),
        ({"interval": (0.8, 0.2)}, "guidance interval"),
    ],
)
def test_settings_out_of_range(values: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Settings(**values)


def test_what_is_open_is_the_models() -> None:
    usual = Guidance(2.0, 0.1, 0.9)
    assert Settings().guide(usual) == usual
    assert Settings(guidance=1.5).guide(usual) == Guidance(1.5, 0.1, 0.9)
    assert Settings(interval=(0.2, 0.3)).guide(usual) == Guidance(2.0, 0.2, 0.3)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"seeds": [1]}, "1 seeds for 2 prompts"),
        ({"free": np.zeros((2, 4, 4), bool)}, "free: says something of an image"),
        ({"sources": ["a", "b"]}, "sources: says something of an image"),
        ({"images": np.zeros((1, 4, 4), np.float32)}, "1 images for 2 prompts"),
    ],
)
def test_what_does_not_belong_together(values: dict, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Asked(**{"prompts": ["a", "b"], "seeds": [1, 2]} | values)


def test_changes_in_words() -> None:
    base = Conditions("F", 65.0, "WHITE", "PA", "Mass.")
    assert Change.read("sex=m, age=80").of(base) == Conditions("M", 80.0, "WHITE", "PA", "Mass.")
    told = "Small, left effusion."
    assert Change.read(f"impression={told},view=ap").of(base) == Conditions("F", 65.0, "WHITE", "AP", told)
    assert Change.read("age=,race=").of(base) == Conditions("F", None, "", "PA", "Mass.")
    for text, why in (
        ("sex=X", "sex 'X'"),
        ("age=old", "age 'old'"),
        ("age=200", "age 200"),
        ("hair=red", "give sex=…"),
        ("", "give sex=…"),
        ("sex", "give sex=…"),
    ):
        with pytest.raises(InputError, match=why):
            Change.read(text)


def test_an_image_is_traced_back_to_its_noise(own: OwnModel) -> None:
    """The flow forwards from what it gives backwards is the image, the closer the more steps."""
    shown = Conditions("F", 65.0, impression="Mass.")
    images = own.draw(Asked([shown], [3]), Settings(8)).images
    latents = own.pipe.encoded(images).detach()
    errors = []
    for steps in (10, 40):
        noise = invert(own.pipe, images, [shown], steps)
        again = own.pipe([shown], noise=noise, num_inference_steps=16 * steps, guidance=1.0).latents
        errors.append(float((again - latents).abs().max()))
    assert errors[1] < errors[0] / 3
    assert errors[1] < 0.02 * float(latents.abs().max())


def test_counterfactuals_of_an_image(own: OwnModel) -> None:
    shown = Conditions("F", 65.0, impression="Mass.")
    image = own.draw(Asked([shown], [3]), Settings(8)).images
    images = np.concatenate([image] * 2)
    changed = Change.read("sex=M,age=20").of(shown)
    made = own.draw(Asked([shown, changed], [1, 2], images, sources=[shown, shown]), Settings(32, 1.0)).images
    kept = own.pipe.vae.images(own.pipe.encoded(image))[0, 0].clamp(-1, 1).detach().numpy() / 2 + 0.5
    assert (
        np.abs(made[0] - kept).mean() < 0.05 * np.abs(own.draw(Asked([shown], [4]), Settings(8)).images - kept).mean()
    )
    assert np.abs(made[0] - made[1]).max() > 1e-5
    alone = own.draw(Asked([changed], [9], image, sources=[shown]), Settings(32, 1.0)).images
    assert np.array_equal(alone[0], made[1])  # the seed draws nothing here


def test_masks_to_follow_are_given_by_name(own: OwnModel) -> None:
    heart = np.zeros((64, 64), bool)
    heart[16:48, 16:48] = True
    asked = Asked(["", ""], [1, 1], masks=[{"heart": heart, "spleen": heart}, {"heart": heart & False}])
    made = own.draw(asked, Settings(3)).images
    planes = np.zeros((2, len(NAMES), SIDE, SIDE), bool)
    planes[0, NAMES.index("heart"), 8:24, 8:24] = True
    theirs = own.pipe(["", ""], seeds=[1, 1], control=planes, num_inference_steps=3).images
    assert np.array_equal(made, theirs)
    assert np.abs(made[0] - made[1]).max() > 1e-6
    with pytest.raises(InputError, match="masks of spleen; this model takes those of heart"):
        own.draw(Asked([""], [1], masks=[{"spleen": heart}]), Settings(3))
    with pytest.raises(InputError, match="takes no masks"):
        OwnModel(pipeline(), "").draw(Asked([""], [1], masks=[{"heart": heart}]), Settings(3))


def test_prompts_are_embedded_once(own: OwnModel, monkeypatch: pytest.MonkeyPatch) -> None:
    counted: list[int] = []
    forward = own.pipe.text_encoder.forward
    monkeypatch.setattr(own.pipe, "text_cache", {})
    monkeypatch.setattr(own.pipe.text_encoder, "forward", lambda ids: counted.append(len(ids)) or forward(ids))
    first = own.draw(Asked(["Mass.", "65 year old male. Mass.", "Edema."], [1, 2, 3]), Settings(2)).images
    assert counted == [1, 1, 1]  # two impressions, and nothing
    again = own.draw(Asked(["Mass.", "65 year old male. Mass.", "Edema."], [1, 2, 3]), Settings(2)).images
    assert len(counted) == 3
    assert np.array_equal(first, again)
