"""Shapes, places and files of the networks of 3D."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch

from synth.diffusion.ct.autoencoder import CtAutoencoder
from synth.diffusion.ct.blocks import GeometryFeatures, fold, unfold
from synth.diffusion.ct.control import CtControl
from synth.diffusion.ct.refiner import CtRefiner
from synth.diffusion.ct.transformer import CtTransformer
from synth.diffusion.text.conditions import Conditions, encode
from tests.diffusion.ct.models import NAMES, autoencoder, control, refiner, transformer
from tests.diffusion.models import shaken

if TYPE_CHECKING:
    from pathlib import Path

SOMEONE = Conditions("F", 60.0, "WHITE")
GEOMETRY = torch.tensor([[6.0, 5.0, 5.0, 384.0, 320.0, 320.0]]).expand(2, -1)


def inputs() -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(5)
    latents, text = torch.randn(2, 4, 4, 6, 8, generator=generator), torch.randn(2, 3, 16, generator=generator)
    return latents, torch.rand(2, generator=generator), text, encode([SOMEONE] * 2), GEOMETRY


def fine_inputs(shape: tuple[int, int, int] = (4, 6, 8)) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(6)
    latents, coarse = torch.randn(2, 2, 4, *shape, generator=generator)
    return latents, torch.rand(2, generator=generator), coarse, torch.tensor([0.1, 0.2]), GEOMETRY


def heard(model: torch.nn.Module, given: tuple[torch.Tensor, ...], place: int, other: torch.Tensor) -> float:
    """How much the output changes with one of the inputs."""
    changed = list(given)
    changed[place] = other
    return float((model(*changed) - model(*given)).abs().max())


@torch.no_grad()
def test_the_denoiser_hears_all_that_it_is_told() -> None:
    model, given = transformer(), inputs()
    assert model(*given).shape == given[0].shape
    finer, wider = GEOMETRY.clone(), GEOMETRY.clone()
    finer[:, 0] /= 2
    wider[:, 5] *= 1.1
    nobody = encode([Conditions()] * 2)
    others = ((0, given[0] + 1), (1, given[1] / 2), (2, -given[2]), (3, nobody), (4, finer), (4, wider))
    for place, other in others:
        assert heard(model, given, place, other) > 1e-3, place
    assert heard(model, given, 3, encode([Conditions("F", 60.0, "WHITE", "AP")] * 2)) == 0  # a CT has no view


@torch.no_grad()
def test_the_refiner_hears_all_that_it_is_told() -> None:
    model, given = refiner(), fine_inputs()
    assert model(*given).shape == given[0].shape
    others = (given[0] + 1, given[1] / 2, -given[2], given[3] * 2, GEOMETRY * torch.tensor([0.5, 1, 1, 1, 1, 1]))
    for place, other in enumerate(others):
        assert heard(model, given, place, other) > 1e-4, place


@torch.no_grad()
@pytest.mark.parametrize("axis", [2, 3, 4])
def test_patches_know_their_places(axis: int) -> None:
    model, given = transformer(), inputs()
    moved = [given[0].roll(2, axis), *given[1:]]  # a patch on
    assert (model(*moved) - model(*given).roll(2, axis)).abs().max() > 1e-3


@torch.no_grad()
def test_a_tile_of_any_sides_is_refined_alike() -> None:
    model, given = refiner(), fine_inputs((24, 3, 4))
    whole = model(*given)
    cut = [given[0][:, :, :20], given[1], given[2][:, :, :20], *given[3:]]
    reach = 1 + 2 + (2 * 2 + 1) + 2 + 1  # of the convolutions; the half grid begins at even places
    torch.testing.assert_close(model(*cut)[:, :, : 20 - reach], whole[:, :, : 20 - reach], atol=1e-6, rtol=1e-5)
    assert model(*fine_inputs((3, 5, 7))).shape == (2, 4, 3, 5, 7)


def test_what_is_new_predicts_nothing() -> None:
    assert not CtTransformer(channels=4, width=32, depth=2, heads=2, text_width=16)(*inputs()).any()
    assert not CtRefiner(channels=4, width=8, inner=8, blocks=(1, 1, 1), signal=16)(*fine_inputs()).any()


@torch.no_grad()
def test_an_untrained_control_branch_changes_nothing() -> None:
    model, given = transformer(), inputs()
    branch = CtControl.beside(model, NAMES, voxels=8, depth=2)
    masks = torch.ones(2, 3, 16, 24, 32)
    added = branch(model, *given, masks)
    assert [tuple(one.shape) for one in added] == [(2, 24, 32)] * 2
    assert torch.equal(model(*given, added), model(*given))
    assert torch.equal(branch.blocks[1].feed.up.weight, model.blocks[1].feed.up.weight)
    shaken(branch)
    corner = masks.clone()
    corner[:, 1, :8, :8, :8] = 0
    shown = [model(*given, branch(model, *given, one)) for one in (masks, masks * 0, corner)]
    assert min((shown[0] - other).abs().max() for other in shown[1:]) > 1e-3


@torch.no_grad()
def test_the_autoencoder_has_the_interface_of_diffusers() -> None:
    model, x = autoencoder(), torch.randn(2, 4, 16, 24, 8)
    raw = model.encode(x).latent_dist.mode()
    assert raw.shape == (2, 4, 4, 6, 2)
    torch.testing.assert_close(model.latents(x), (raw - 0.1) * 0.7)
    ct, logits = model.decoded(model.latents(x))
    sample = model.decode(raw).sample
    torch.testing.assert_close(ct, sample[:, :1].clamp(-1, 1))
    torch.testing.assert_close(logits, sample[:, 1:])
    assert sample.shape == x.shape
    assert model(x, torch.Generator().manual_seed(0))[0].shape == x.shape
    changed = x.clone()
    changed[:, 3] *= -1  # masks are encoded together with the CT
    assert (model.latents(changed) - model.latents(x)).abs().max() > 1e-3


def test_a_new_autoencoder_learns() -> None:
    torch.manual_seed(0)
    model = CtAutoencoder(NAMES, 4, 4, (16,), (1,))
    x = torch.nn.functional.interpolate(torch.randn(2, 4, 4, 4, 4), size=16, mode="trilinear")
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = (model(x)[0] - x).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_gradients_reach_every_weight() -> None:
    vae, x = autoencoder(), torch.randn(1, 4, 8, 8, 8)
    model, branch, finer, given = transformer(), control(), refiner(), inputs()
    vae(x)[0].square().sum().backward()
    model(*given, branch(model, *given, torch.rand(2, 3, 16, 24, 32))).square().sum().backward()
    finer(*fine_inputs()).square().sum().backward()
    for net in (vae, model, branch, finer):
        silent = [name for name, one in net.named_parameters() if one.grad is None or not one.grad.any()]
        assert silent in ([], ["attributes.no_age"]), type(net)  # everybody's age was told


def test_checkpointing_gives_the_same_gradients() -> None:
    for make, given, name in ((transformer, inputs(), "patches"), (refiner, fine_inputs(), "first")):
        gradients = []
        for checkpointing in (False, True):
            model = make()
            if checkpointing:
                model.enable_gradient_checkpointing()
            model.train()(*given).square().sum().backward()
            gradients.append(getattr(model, name).weight.grad)
        torch.testing.assert_close(*gradients)


@torch.no_grad()
@pytest.mark.parametrize("make", [autoencoder, transformer, refiner, control])
def test_networks_load_as_they_were_saved(make: type, tmp_path: Path) -> None:
    model = make()
    model.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    fresh = type(model).from_pretrained(tmp_path, local_files_only=True)
    kept, stored = (json.loads(one.to_json_string()) for one in (model, fresh))
    assert {**kept, "_name_or_path": ""} == {**stored, "_name_or_path": ""}
    assert fresh.state_dict().keys() == model.state_dict().keys()
    for ours, theirs in zip(fresh.state_dict().values(), model.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs)
    given = {transformer: inputs(), refiner: fine_inputs(), autoencoder: (torch.zeros(1, 4, 8, 8, 8),)}.get(make)
    if make is autoencoder:
        assert torch.equal(fresh.latents(*given), model.latents(*given))
    elif given is not None:
        assert torch.equal(fresh(*given), model(*given))


def test_folding_keeps_neighbours_together() -> None:
    x = torch.arange(2 * 3 * 4 * 4 * 8.0).reshape(2, 3, 4, 4, 8)
    folded = fold(x, 2)
    assert folded.shape == (2, 24, 2, 2, 4)
    assert torch.equal(folded[0, :8, 0, 0, 1], x[0, 0, :2, :2, 2:4].flatten())
    assert torch.equal(unfold(folded, 2), x)
    flat = torch.nn.functional.pixel_unshuffle(x[:, :, 0], 2).reshape(2, 3, 4, 2, 4)
    assert torch.equal(folded[:, :, 0].reshape(2, 3, 2, 4, 2, 4)[:, :, 0], flat)  # a slice, as torch folds it


@torch.no_grad()
def test_lengths_are_told_apart_by_their_ratio() -> None:
    features = GeometryFeatures(16)
    shaken(features)
    spacings = torch.tensor([0.5, 0.75, 1.5, 3.0, 6.0])
    geometry = torch.cat([spacings[:, None].expand(-1, 3), torch.full((5, 3), 384.0)], dim=1)
    apart = torch.pdist(features(geometry))
    assert apart.min() > 0.05
    assert features(torch.zeros(1, 6)).isfinite().all()
    near = features(geometry[:1] * 1.001) - features(geometry[:1])
    assert near.norm() < apart.min()
