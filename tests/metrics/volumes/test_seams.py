"""Seams: found where they were put, rarely where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synth.core.errors import InputError
from synth.metrics.volumes.seams import plane_shares, seam_p_value, seam_verdict, seams

SHAPE = (64, 64, 64)


def texture(seed: int, smooth: float = 1.0) -> np.ndarray:
    """Correlated noise of 30 HU about soft tissue."""
    values = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), smooth, mode="wrap")
    return np.rint(40 + 30 * values / values.std()).astype(np.int16)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_step_half_as_high_as_the_texture_is_found_in_its_plane(axis: int) -> None:
    hu = texture(axis)
    np.moveaxis(hu, axis, 0)[32:] += 60
    found = seams(hu)
    assert found is not None
    assert (found.axis, found.plane) == ("zyx"[axis], 31)
    assert seam_verdict(hu, 0.001).outcome == "fail"
    assert f"between layers 31 and 32 along {'zyx'[axis]}" in seam_verdict(hu, 0.001).reason


def test_volumes_without_seams_pass() -> None:
    outcomes = [seam_verdict(texture(seed, smooth), 0.001).outcome for seed in range(8) for smooth in (0.0, 1.5)]
    assert set(outcomes) == {"pass"}


def test_a_strong_edge_in_a_part_of_the_plane_is_no_seam() -> None:
    hu = texture(3)
    hu[32:, :24, :24] += 1000
    assert seam_verdict(hu, 0.001).outcome == "pass"


def test_shares_of_white_noise_are_a_third() -> None:
    shares, counts = plane_shares(texture(5, 0.0), 0)
    assert np.isnan(shares[[0, 2, -3, -1]]).all()
    assert counts[3] == 64
    assert np.nanmean(shares) == pytest.approx(1 / 3, abs=0.05)


def test_known_planes_are_compared_with_the_same_comb_elsewhere() -> None:
    hu = texture(7)
    assert seam_p_value(hu, 0, [15, 31, 47]) > 0.02
    for at in (16, 32, 48):
        hu[at:] += 25
    p = seam_p_value(hu, 0, [15, 31, 47])
    assert p == pytest.approx(1 / 24, abs=0.015)  # the least of the offsets there are
    with pytest.raises(InputError, match="planes must lie"):
        seam_p_value(hu, 0, [0])


def test_known_planes_without_a_seam_have_uniform_p_values() -> None:
    values = [seam_p_value(texture(seed), 1, [31]) for seed in range(20)]
    assert 0.3 < np.mean(values) < 0.7


def test_air_and_small_volumes_are_undecided() -> None:
    assert seam_verdict(np.full(SHAPE, -1000, np.int16), 0.001).outcome == "undecided"
    assert seam_verdict(np.zeros((4, 4, 4), np.int16), 0.001).outcome == "undecided"
