"""The hiatal hernia: its place, its wall, fluid and gas, and which way gravity points."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from synth.anatomy.findings.base import add_finding
from synth.anatomy.findings.hernia import SIZE_CM
from synth.anatomy.scan import Scan
from synth.core.errors import InputError
from synth.core.record import Finding
from synth.drr.analytic import thorax

EDGE_MM = 3.0
ORIGIN = np.array([-175.0, -125, -190])


@functools.cache
def chest() -> Scan:
    affine = np.diag([EDGE_MM, EDGE_MM, EDGE_MM, 1.0])
    affine[:3, 3] = ORIGIN
    return Scan(*thorax().voxelise((127, 84, 117), affine))


def herniated(severity: str = "moderate", seed: int = 2, *, supine: bool = False) -> Scan:
    wish = Finding("Hernia", kind="hiatal hernia", severity=severity)
    return add_finding(replace(chest(), supine=supine), wish, np.random.default_rng(seed))


@pytest.mark.parametrize("severity", sorted(SIZE_CM))
def test_sac_is_one_piece_of_the_wished_size_behind_the_heart(severity: str) -> None:
    seen = herniated(severity).seen[-1]
    least, most = SIZE_CM[severity]
    assert seen.finding.size_cm is not None
    assert 0.85 * least < seen.finding.size_cm < 1.25 * most
    assert ndimage.label(seen.mask)[1] == 1
    index = np.argwhere(seen.mask)
    middle = index.mean(0)[::-1] * EDGE_MM + ORIGIN
    heart = np.argwhere(chest().where("heart")).mean(0)[::-1] * EDGE_MM + ORIGIN
    assert middle[1] > heart[1]
    assert abs(middle[0]) < 40
    # Above the lower end of the oesophagus, most of it above the dome.
    gullet = np.argwhere(chest().where("esophagus"))[:, 0].min() * EDGE_MM + ORIGIN[2]
    assert middle[2] > gullet


@pytest.mark.parametrize(("supine", "axis", "sign"), [(False, 0, 1), (True, 1, -1)])
def test_gas_lies_above_fluid_as_the_patient_does(supine: bool, axis: int, sign: int) -> None:
    scan = herniated("large", supine=supine)
    index = np.argwhere(scan.seen[-1].mask)
    hu = scan.volume.hu[tuple(index.T)]
    gas, fluid = index[hu < -700, axis], index[(hu > -40) & (hu < 30), axis]
    assert len(gas) > 0.1 * len(index)
    assert len(fluid) > 0.1 * len(index)
    # A level: next to no gas below the highest fluid of the lumen.
    level = np.median([np.percentile(sign * gas, 2), np.percentile(sign * gas, 4)])
    deep = ndimage.binary_erosion(scan.seen[-1].mask, iterations=3)
    inner = np.argwhere(deep & (scan.volume.hu > -200))
    assert np.percentile(sign * inner[:, axis], 95) <= level + 1


def test_sac_has_a_wall_around_gas() -> None:
    scan = herniated("large")
    mask = scan.seen[-1].mask
    rim = mask & ~ndimage.binary_erosion(mask)
    core = ndimage.binary_erosion(mask, iterations=3)
    top = np.arange(len(mask)) > np.argwhere(mask)[:, 0].max() - 6
    high = top[:, None, None]
    assert np.median(scan.volume.hu[rim & high]) > -500
    assert np.median(scan.volume.hu[core & high]) < -800


def test_bones_stay_and_the_rest_of_the_scan_too() -> None:
    before, after = chest(), herniated("large")
    for name in (*(f"vertebrae_T{n}" for n in range(1, 13)), "sternum", "rib_left_8", "trachea"):
        assert np.array_equal(before.where(name), after.where(name)), name
    changed = np.argwhere(before.volume.hu != after.volume.hu)
    sac = np.argwhere(after.seen[-1].mask)
    assert (changed.min(0) >= sac.min(0) - 70 / EDGE_MM).all()
    assert (changed.max(0) <= sac.max(0) + 70 / EDGE_MM).all()


def test_same_seed_same_bytes() -> None:
    assert herniated().volume.hu.tobytes() == herniated().volume.hu.tobytes()
    assert herniated().volume.hu.tobytes() != herniated(seed=9).volume.hu.tobytes()


def test_missing_oesophagus_is_named() -> None:
    names = {value: name for value, name in chest().labels.names.items() if name != "esophagus"}
    bare = replace(chest(), labels=replace(chest().labels, names=names))
    with pytest.raises(InputError, match="esophagus"):
        add_finding(bare, Finding("Hernia", kind="hiatal hernia"), np.random.default_rng(0))
