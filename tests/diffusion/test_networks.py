"""Shapes, places and files of the networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from synth.diffusion.cxr.autoencoder import CxrAutoencoder
from synth.diffusion.cxr.control import ControlBranch
from synth.diffusion.cxr.mask_decoder import MaskDecoder
from synth.diffusion.cxr.transformer import CxrTransformer
from synth.diffusion.layers import Attention, rotary_angles
from synth.diffusion.text.conditions import Conditions, encode
from synth.diffusion.text.encoder import ReportEncoder
from synth.diffusion.text.tokenizer import LENGTH, token_ids, train_tokenizer
from tests.diffusion.models import NAMES, TEXTS, autoencoder, shaken, transformer

if TYPE_CHECKING:
    from pathlib import Path

NOBODY, SOMEONE = Conditions(), Conditions("F", 60.0, "WHITE", "AP")


def inputs(n: int = 2) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(5)
    latents = torch.randn(n, 4, 6, 8, generator=generator)
    times = torch.rand(n, generator=generator)
    return latents, times, torch.randn(n, LENGTH, 16, generator=generator), encode([SOMEONE] * n)


@torch.no_grad()
def test_the_denoiser_hears_all_that_it_is_told() -> None:
    model, given = transformer(), inputs()
    base = model(*given)
    assert base.shape == given[0].shape
    for place, other in enumerate((given[0] + 1, given[1] / 2, -given[2], encode([NOBODY] * 2))):
        changed = list(given)
        changed[place] = other
        assert (model(*changed) - base).abs().max() > 1e-3, place
    ages = [model(*given[:3], encode([SOMEONE.changed(age=age)] * 2)) for age in (60.0, 61.0, 80.0)]
    near, far = ((ages[k] - ages[0]).norm() for k in (1, 2))
    assert 0 < near < far  # age is a number, not a name


def test_a_new_denoiser_predicts_nothing() -> None:
    model = CxrTransformer(channels=4, width=32, depth=2, heads=2, text_width=16)
    assert not model(*inputs()).any()


@torch.no_grad()
def test_rotary_attention_sees_distances_and_not_places() -> None:
    layer = Attention(16, 2).eval()
    x = torch.zeros(1, 36, 16)
    generator = torch.Generator().manual_seed(0)
    marks = torch.randn(2, 16, generator=generator)
    angles = rotary_angles((6, 6), 4)

    def seen(first: tuple[int, int], second: tuple[int, int]) -> torch.Tensor:
        placed = x.clone()
        placed[0, first[0] * 6 + first[1]], placed[0, second[0] * 6 + second[1]] = marks
        return layer(placed, angles)[0, first[0] * 6 + first[1]]

    torch.testing.assert_close(seen((0, 0), (1, 2)), seen((3, 2), (4, 4)))
    assert not torch.allclose(seen((0, 0), (1, 2)), seen((0, 0), (2, 1)), atol=1e-5)
    assert not rotary_angles((2, 2), 4, before=3)[:3].any()
    assert rotary_angles((2, 3, 4), 8).shape == (24, 8)


@torch.no_grad()
def test_an_untrained_control_branch_changes_nothing() -> None:
    model, given = transformer(), inputs()
    branch = ControlBranch.beside(model, NAMES, pixels=16, depth=2)
    masks = torch.ones(2, 3, 48, 64)
    added = branch(model, *given, masks)
    assert [tuple(one.shape) for one in added] == [(2, 12, 32)] * 2
    assert torch.equal(model(*given, added), model(*given))
    shaken(branch)
    with_masks, without = (model(*given, branch(model, *given, m)) for m in (masks, masks * 0))
    assert (with_masks - without).abs().max() > 1e-3


@torch.no_grad()
def test_the_autoencoder_has_the_interface_of_diffusers() -> None:
    model = autoencoder()
    x = torch.randn(2, 1, 32, 48)
    raw = model.encode(x).latent_dist.mode()
    assert model.factor == 8
    assert raw.shape == (2, 4, 4, 6)
    torch.testing.assert_close(model.latents(x), (raw - 0.1) * 0.7)
    torch.testing.assert_close(model.images(model.latents(x)), model.decode(raw).sample)
    assert model.decode(raw).sample.shape == x.shape


def test_a_new_autoencoder_learns() -> None:
    torch.manual_seed(0)
    model = CxrAutoencoder(latent_channels=4, widths=(8, 16), blocks=(1, 1))
    x = torch.nn.functional.interpolate(torch.randn(4, 1, 4, 4), size=32, mode="bilinear")
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(60):
        loss = (model(x)[0] - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


@torch.no_grad()
def test_masks_have_the_size_of_the_image() -> None:
    decoder = MaskDecoder(names=NAMES, latent_channels=4, width=16, blocks=1, factor=16)
    assert decoder.names == NAMES
    found = decoder.masks(torch.randn(2, 4, 4, 6))
    assert found.shape == (2, 3, 64, 96)
    assert found.dtype == torch.bool


@torch.no_grad()
def test_words_that_nobody_taught_are_spelled_out() -> None:
    tokenizer = train_tokenizer(TEXTS, size=400)
    ids = token_ids(tokenizer, ["Zebra stripes, ünïcode", "", "mass " * 200])
    assert ids.shape == (3, LENGTH)
    assert tokenizer.decode(ids[0], skip_special_tokens=True).strip() == "zebra stripes, ünïcode"
    encoder = ReportEncoder(vocabulary=400, width=16, depth=1, heads=2)
    assert encoder(ids).shape == (3, encoder.config.summary, 16)


def test_adapters_load_and_save(tmp_path: Path) -> None:
    from peft import LoraConfig

    model, given = transformer(), inputs()
    before = model(*given)
    model.add_adapter(LoraConfig(r=2, target_modules=["to_q", "to_v"], init_lora_weights=False))
    adapted = model(*given)
    assert not torch.allclose(before, adapted)
    model.save_lora_adapter(tmp_path, weight_name="pytorch_lora_weights.safetensors")
    fresh = transformer()
    fresh.load_lora_adapter(tmp_path, weight_name="pytorch_lora_weights.safetensors", prefix=None)
    torch.testing.assert_close(fresh(*given), adapted)


def test_checkpointing_gives_the_same_gradients() -> None:
    gradients = []
    for checkpointing in (False, True):
        model = transformer()
        if checkpointing:
            model.enable_gradient_checkpointing()
        model.train()(*inputs()).square().sum().backward()
        gradients.append(model.patches.weight.grad)
    torch.testing.assert_close(*gradients)


def test_the_attention_backend_can_be_chosen() -> None:
    model, given = transformer(), inputs()
    before = model(*given)
    model.set_attention_backend("_native_math")
    torch.testing.assert_close(model(*given), before)
    with pytest.raises(ValueError, match="must be one of"):
        model.set_attention_backend("none such")
