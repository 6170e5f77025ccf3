"""Laws of the abdomen: sizes, sides, what touches what, and where gas lies."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage

from synth.anatomy.abdomen import abdomen
from synth.anatomy.build import Build
from synth.anatomy.constitution import constitution
from synth.anatomy.frame import plan
from synth.anatomy.labels import LABELS, LOBES, PARTS
from synth.anatomy.lungs import lungs
from synth.anatomy.paint import Canvas, paint
from synth.anatomy.person import Person
from synth.anatomy.stomach import WALL_MM, stomach
from synth.anatomy.tissue import mean_hu, tissues
from synth.anatomy.viscera import liver
from synth.anatomy.wall import wall

if TYPE_CHECKING:
    from synth.anatomy.solids import Loft

SPACING = 2.0
BODIES = {
    "man": (Person("M", 30, 176, 75), {}),
    "slim woman": (Person("F", 25, 165, 50), {}),
    "obese man": (Person("M", 50, 178, 128), {"inspiration": 0.3}),
    "old woman lying": (Person("F", 85, 152, 55), {"supine": True}),
}


def _build(name: str) -> Build:
    person, posture = BODIES[name]
    return constitution(person, np.random.default_rng(4), **posture)


@cache
def _drawn(name: str) -> Canvas:
    """Wall, lungs and abdomen down to L3."""
    build = _build(name)
    frame, hu = plan(build), mean_hu(tissues(build))
    low, high = frame.spine.z(15.0) - 10, frame.diaphragm.right_top[2] + 40
    canvas = Canvas.empty((int((high - low) / SPACING), 190, 250), (-250.0, -280.0, low), SPACING)
    generator = np.random.default_rng(0)
    paint(canvas, [*wall(frame, hu, generator), *lungs(frame, hu, generator), *abdomen(frame, hu, generator)])
    return canvas


def _points(canvas: Canvas, label: str) -> np.ndarray:
    """(n, 3) world x, y, z of the voxels of a label."""
    return canvas.origin + SPACING * np.argwhere(canvas.labels == LABELS[label])[:, ::-1]


@pytest.mark.parametrize("name", BODIES)
def test_organs_have_their_volumes_and_sides(name: str) -> None:
    canvas = _drawn(name)
    for label, least, most, side in (
        ("liver", 850, 2000, -1), ("spleen", 80, 330, 1), ("stomach", 60, 900, 1),
        ("kidney_left", 40, 230, 1), ("kidney_right", 40, 230, -1),
    ):  # fmt: skip
        points = _points(canvas, label)
        assert least <= len(points) * SPACING**3 / 1000 <= most, label
        assert points[:, 0].mean() * side > 0, label
    assert _points(canvas, "liver")[:, 0].max() > 0  # the left lobe crosses the midline


@pytest.mark.parametrize("name", BODIES)
def test_nothing_below_the_domes_is_lung_and_nothing_above_them_is_belly(name: str) -> None:
    canvas, domes = _drawn(name), plan(_build(name)).diaphragm
    lobes = np.isin(canvas.labels, [LABELS[lobe] for lobe in LOBES])
    z, y, x = np.nonzero(lobes)
    height = domes.height(canvas.origin[0] + SPACING * x, canvas.origin[1] + SPACING * y)
    assert (canvas.origin[2] + SPACING * z >= height - SPACING).all()
    for label in ("liver", "spleen", "stomach", "colon", "diaphragm"):
        points = _points(canvas, label)
        assert (points[:, 2] <= domes.height(points[:, 0], points[:, 1]) + SPACING).all(), label


@pytest.mark.parametrize("name", BODIES)
def test_the_diaphragm_parts_lungs_from_everything_below(name: str) -> None:
    labels = _drawn(name).labels
    lobes = np.isin(labels, [LABELS[lobe] for lobe in LOBES])
    below = np.isin(labels, [LABELS[organ] for organ in ("liver", "spleen", "stomach", "colon")])
    assert not (ndimage.binary_dilation(lobes) & below).any()
    assert np.count_nonzero(labels == LABELS["diaphragm"]) * SPACING**3 > 5e4


@pytest.mark.parametrize("name", BODIES)
def test_the_liver_fills_the_right_dome(name: str) -> None:
    canvas, domes = _drawn(name), plan(_build(name)).diaphragm
    column = np.rint((domes.right_top[:2] - canvas.origin[:2]) / SPACING).astype(int)
    line = canvas.labels[:, column[1], column[0]]
    top = np.flatnonzero(line == LABELS["liver"]).max()
    assert domes.right_top[2] - (canvas.origin[2] + SPACING * top) < 8.0


@pytest.mark.parametrize("name", BODIES)
def test_no_value_of_air_is_left_outside_lungs_and_gas(name: str) -> None:
    canvas = _drawn(name)
    domes = plan(_build(name)).diaphragm
    low = canvas.origin[2] + SPACING * np.arange(len(canvas.hu)) < domes.edge_z - 10
    outside = ndimage.binary_dilation(canvas.labels == 0, iterations=2)
    gas = ndimage.binary_dilation(canvas.parts == PARTS["gas"], iterations=2)
    # A few voxels at the picture's lower end hold the edge of gas whose middle is beyond it.
    assert np.count_nonzero(canvas.hu[low[:, None, None] & ~outside & ~gas] < -150) <= 10


def _gas(organ_gas: Loft) -> float:
    """ml."""
    fine = np.linspace(0, len(organ_gas.radius) - 1, 2000)
    k = np.arange(len(organ_gas.radius))
    square = np.stack([np.interp(fine, k, column) for column in (organ_gas.radius**2).T], axis=-1)
    return float((square.mean(axis=1) * np.pi).mean() * organ_gas.dw * (len(k) - 1) / 1000)


@pytest.mark.parametrize("supine", [False, True])
@pytest.mark.parametrize("ml", [20.0, 60.0, 150.0])
def test_air_of_the_stomach_has_its_volume_and_is_on_top(ml: float, *, supine: bool) -> None:
    frame = plan(Build(supine=supine, stomach_gas_ml=ml))
    organ = stomach(frame, np.random.default_rng(2))
    assert organ.gas is not None
    assert _gas(organ.gas) == pytest.approx(ml, rel=0.12)
    gas, bag = organ.gas, organ.bag
    if supine:
        theta = np.arange(gas.radius.shape[1]) * 2 * np.pi / gas.radius.shape[1]
        there = gas.radius.max(axis=1) > 1
        back = (gas.centre[:, 1:] + gas.radius * np.sin(theta)).max(axis=1)[there]
        assert np.ptp(back[1:-1]) < 12 or back.max() < bag.centre[:, 1].mean()
        assert back.max() < (bag.centre[:, 1] + bag.radius.max(axis=1) - WALL_MM).max()
    else:
        assert gas.w0 > bag.w0
        assert gas.w0 + gas.dw * (len(gas.radius) - 1) == pytest.approx(bag.w0 + bag.dw * (len(bag.radius) - 1))


def test_larger_chests_have_larger_livers() -> None:
    tables = [liver(plan(Build(cavity_width_mm=width)), np.random.default_rng(0)) for width in (250.0, 300.0)]
    volumes = [np.clip(t.solid.upper - t.solid.lower, 0, None).sum() for t in tables]
    assert volumes[1] > 1.1 * volumes[0]


def test_gas_lies_in_gut_only() -> None:
    canvas = _drawn("man")
    where = canvas.parts == PARTS["gas"]
    assert where.any()
    assert set(np.unique(canvas.labels[where])) <= {LABELS["stomach"], LABELS["colon"]}
    assert (canvas.hu[ndimage.binary_erosion(where)] < -900).all()
