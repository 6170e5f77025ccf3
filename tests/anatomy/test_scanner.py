"""What a scanner takes from a drawn body and adds to it."""

from __future__ import annotations

import numpy as np
import pytest

from synth.anatomy.scan import Scan
from synth.anatomy.scanner import Scanner, scanned
from synth.core.errors import InputError
from synth.core.volume import Labels, Volume
from synth.drr.ct_dose import Protocol


def water() -> Scan:
    """A cylinder of water in air, 200 mm wide, two slices."""
    y, x = np.mgrid[:96, :96] - 47.5
    hu = np.where(np.hypot(x, y) < 40, 0, -1000).astype(np.int16)
    affine = np.diag([2.5, 2.5, 5.0, 1.0])
    return Scan(Volume(np.stack([hu, hu]), affine), Labels(np.zeros((2, 96, 96), np.uint8), affine, {1: "liver"}))


def spread(scan: Scan) -> float:
    return float(scan.volume.hu[:, 38:58, 38:58].std())


def test_noise_goes_as_one_over_the_root_of_the_dose() -> None:
    high, low = (spread(scanned(water(), Scanner(Protocol(mas=mas)), 3)) for mas in (400.0, 100.0))
    assert low / high == pytest.approx(2.0, rel=0.1)


def test_without_noise_only_edges_change() -> None:
    seen = scanned(water(), Scanner(noise=False), 3)
    assert spread(seen) == 0
    before, after = (scan.volume.hu.astype(float) for scan in (water(), seen))
    assert after.sum() == pytest.approx(before.sum(), rel=1e-3)


def test_the_seed_decides() -> None:
    one, again, other = (scanned(water(), Scanner(), seed).volume.hu for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_slices_cannot_be_thinner_than_voxels() -> None:
    with pytest.raises(InputError, match="slices of 2 mm cannot be made of voxels of 5 mm"):
        scanned(water(), Scanner(Protocol(slice_thickness_mm=2.0)), 0)
