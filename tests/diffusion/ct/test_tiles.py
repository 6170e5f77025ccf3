"""A volume in tiles is the volume at once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth.core.errors import InputError
from synth.diffusion.ct.channels import from_network
from synth.diffusion.ct.tiles import decode_tiled, decoded_tiles, decoded_volume, encode_boxes, encode_tiled
from tests.diffusion.ct.models import autoencoder

EXACT = 1e-5  # of numbers about 1 in float32: what the order of sums changes
SIZES = {"stem 4": ((12,), (2,), 4), "two grids": ((6, 12), (1, 1), 2), "no blocks": ((12,), (0,), 4)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tile", [3, 5])
@torch.no_grad()
def test_tiles_leave_no_trace(size: str, tile: int) -> None:
    vae = autoencoder(*SIZES[size])
    assert vae.factor == 4
    x = torch.randn(2, 4, 28, 44, 36, generator=torch.Generator().manual_seed(1))
    latents = vae.latents(x)
    assert latents.std() > 0.1
    torch.testing.assert_close(encode_tiled(vae, x, tile=tile), latents, atol=EXACT, rtol=EXACT)
    whole = vae.decoded(latents)
    assert whole[0].std() > 0.01
    for made, one in zip(decode_tiled(vae, latents, tile=tile), whole, strict=True):
        torch.testing.assert_close(made, one, atol=EXACT, rtol=EXACT)


@torch.no_grad()
def test_the_halo_is_what_is_seen() -> None:
    for vae in (autoencoder(), autoencoder((6, 12), (1, 2), 2)):
        latents = torch.randn(1, 4, 1, 1, 23, generator=torch.Generator().manual_seed(2))
        changed = latents.clone()
        changed[..., 11] += 1
        moved = torch.cat(vae.decoded(changed), 1) - torch.cat(vae.decoded(latents), 1)
        seen = moved.abs().amax((0, 1, 2, 3)).reshape(-1, vae.factor).amax(1).nonzero().flatten()
        assert 11 - vae.halo <= int(seen.min()) <= 11 - vae.halo + 1  # no tile is much wider than it must be
        assert 11 + vae.halo - 1 <= int(seen.max()) <= 11 + vae.halo


def test_the_frugal_way_makes_the_same_volume() -> None:
    vae = autoencoder()
    latents = torch.randn(1, 4, 5, 4, 6, generator=torch.Generator().manual_seed(3))
    hu, masks = decoded_volume(vae, latents, tile=3)
    expected = from_network(*decode_tiled(vae, latents, tile=3))
    np.testing.assert_array_equal(hu, expected[0])
    np.testing.assert_array_equal(masks, expected[1])
    assert 0 < masks.mean() < 1
    covered = torch.zeros(20, 16, 24)
    for box, *_ in decoded_tiles(vae, latents, tile=3):
        covered[box] += 1
    assert (covered == 1).all()


def test_boxes_to_encode_are_asked_for_with_their_halo_only() -> None:
    vae = autoencoder()
    x = torch.randn(1, 4, 16, 16, 64, generator=torch.Generator().manual_seed(4))
    asked = []

    def part(box: tuple[slice, ...]) -> torch.Tensor:
        asked.append(box)
        return x[(..., *box)]

    found = encode_boxes(vae, 1, (16, 16, 64), part, tile=4)
    torch.testing.assert_close(found, encode_tiled(vae, x, tile=64), atol=EXACT, rtol=EXACT)
    assert [(box[2].start, box[2].stop) for box in asked] == [(0, 32), (0, 48), (16, 64), (32, 64)]


def test_what_cannot_be_cut_is_refused() -> None:
    vae = autoencoder()
    with pytest.raises(InputError, match="multiples of 4"):
        encode_tiled(vae, torch.zeros(1, 4, 16, 16, 18))
    with pytest.raises(InputError, match="tile 0"):
        decode_tiled(vae, torch.zeros(1, 4, 2, 2, 2), tile=0)
