"""Outlines of masks."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from synth.report.outlines import outline_path, shrunk, simplified, trace
from synth.report.overlays import outlines_of_labels, trace_shape
from synth.report.structures import GROUPS, group_of

MASKS = arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9)))


def filled(loops, shape):
    """Pixels inside an odd number of loops, by the borders left of each pixel."""
    crossings = np.zeros((shape[0], shape[1] + 1), int)
    for loop in loops:
        for (x, y), (u, v) in zip(loop, [*loop[1:], loop[0]], strict=True):
            if x == u:
                crossings[min(y, v) : max(y, v), x] += 1
    return np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1


def points_of(path):
    """Loops of SVG path data of "M x y l dx dy … z"."""
    loops = []
    for part in path.split("z")[:-1]:
        start, steps = part.removeprefix("M").split("l")
        numbers = [int(one) for one in re.findall(r"-?\d+", steps)]
        at = tuple(map(int, start.split()))
        loops.append([at])
        for dx, dy in zip(numbers[::2], numbers[1::2], strict=True):
            at = (at[0] + dx, at[1] + dy)
            loops[-1].append(at)
    return loops


@given(MASKS)
def test_traced_loops_enclose_the_mask(mask):
    loops = trace(mask)
    assert np.array_equal(filled(loops, mask.shape), mask)
    for loop in loops:  # the inside on the right hand: outer borders run clockwise on the screen
        assert len(loop) >= 4
        assert all((x == u) != (y == v) for (x, y), (u, v) in zip(loop, [*loop[1:], loop[0]], strict=True))


@pytest.mark.parametrize(
    ("mask", "sign"), [(np.pad(np.ones((2, 3), bool), 1), 1), (~np.pad(np.ones((2, 3), bool), 1), -1)]
)
def test_borders_run_clockwise_and_those_of_holes_against(mask, sign):
    loop = min(trace(mask), key=lambda one: max(x for x, _ in one))
    area = sum(x * v - u * y for (x, y), (u, v) in zip(loop, [*loop[1:], loop[0]], strict=True)) / 2
    assert area == sign * 6


@given(MASKS)
def test_simplified_loops_stay_within_a_pixel(mask):
    for loop in trace(mask):
        fewer = simplified(loop)
        assert set(fewer) <= set(loop)
        ring = [*fewer, fewer[0]]
        for point in loop:
            assert min(distance(point, a, b) for a, b in pairwise(ring)) <= 0.76


def distance(point, a, b):
    (px, py), (ax, ay), (bx, by) = point, a, b
    length = (bx - ax) ** 2 + (by - ay) ** 2
    t = 0.0 if length == 0 else max(0.0, min(1.0, ((px - ax) * (bx - ax) + (py - ay) * (by - ay)) / length))
    return math.hypot(px - ax - t * (bx - ax), py - ay - t * (by - ay))


def test_a_disc_becomes_a_short_path_of_its_area():
    v, u = np.mgrid[:200, :200]
    disc = (u - 100) ** 2 + (v - 90) ** 2 < 60**2
    path = outline_path(disc)
    (loop,) = points_of(path)
    area = abs(sum(x * v - u * y for (x, y), (u, v) in zip(loop, [*loop[1:], loop[0]], strict=True))) / 2
    assert area == pytest.approx(math.pi * 60**2, rel=0.01)
    assert len(path) < 350


def test_specks_are_left_out_unless_they_are_thin():
    mask = np.zeros((20, 20), bool)
    mask[3, 3:5] = True
    assert outline_path(mask) == ""
    assert outline_path(mask, thin=True) == "M3 3l2 0 0 1-2 0z"


def test_shrunk_keeps_what_is_thin():
    mask = np.zeros((64, 64), bool)
    mask[:, 30] = True
    assert not shrunk(mask, (16, 16)).any()
    assert shrunk(mask, (16, 16), thin=True)[:, 7].all()
    assert shrunk(mask, (64, 64)) is mask


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("lung_upper_lobe_left", "lungs"), ("lung_left", "lungs"), ("lung_artery", "airways"), ("lung", "lungs"),
        ("pulmonary_vein", "airways"), ("heart_atrium_left", "heart"), ("rib_left_12", "bones"), ("ribs", "bones"),
        ("clavicula_left", "bones"), ("vertebrae_T4", "bones"), ("aorta", "mediastinum"), ("diaphragm", "abdomen"),
        ("finding:pneumothorax", "findings"), ("object:tube", "devices"), ("breast_left", "others"),
        ("subclavian_artery_left", "mediastinum"), ("hip_left", "bones"), ("colon", "abdomen"), ("x", "others"),
    ],
)  # fmt: skip
def test_structures_belong_to_groups(name, key):
    assert GROUPS[group_of(name)].key == key


def test_the_seen_part_of_an_object_is_not_drawn():
    assert group_of("object:tube:visible") is None


def test_colours_are_told_apart_without_hue():
    def lightness(colour):
        linear = [((int(colour[k : k + 2], 16) / 255 + 0.055) / 1.055) ** 2.4 for k in (1, 3, 5)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    # On black, and two of one dash are not of one colour.
    assert all((lightness(group.colour) + 0.05) / 0.05 > 5 for group in GROUPS)
    assert len({(group.colour, group.dash) for group in GROUPS}) == len(GROUPS) == len({one.colour for one in GROUPS})


def test_labels_of_one_group_are_united():
    array = np.zeros((40, 40), np.uint8)
    array[5:15, 5:15], array[5:15, 15:25], array[30:33, 30:33] = 1, 2, 3
    (lungs, found) = outlines_of_labels([(array, {1: "lung_left", 2: "lung_right", 3: "finding:edema"})])[::-1]
    assert (GROUPS[lungs.group].key, lungs.name, lungs.path) == ("lungs", "", "M5 5l20 0 0 10-20 0z")
    assert (GROUPS[found.group].key, found.name) == ("findings", "edema")


@pytest.mark.parametrize(("shape", "grid"), [((1024, 512), (256, 128)), ((100, 30), (100, 30)), ((5000, 1), (256, 1))])
def test_the_grid_is_bounded(shape, grid):
    assert trace_shape(shape) == grid
