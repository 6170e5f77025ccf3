"""Rib fractures: only their neighbourhood changes, the bone is broken or bridged, and the mask is there."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.anatomy.findings.base import add_finding
from synth.anatomy.findings.fracture import RIB_PLACES, rib_line
from synth.anatomy.scan import Scan
from synth.core.errors import InputError
from synth.core.record import Finding
from synth.core.volume import Labels
from synth.drr.analytic import thorax

EDGE_MM = 2.0
ORIGIN = np.array([-175.0, -125, -190])


@functools.cache
def chest() -> Scan:
    """With a map of parts: marrow in all ribs."""
    affine = np.diag([EDGE_MM, EDGE_MM, EDGE_MM, 1.0])
    affine[:3, 3] = ORIGIN
    volume, labels = thorax().voxelise((190, 126, 176), affine)
    ribs = np.isin(labels.array, [value for value, name in labels.names.items() if name.startswith("rib_")])
    marrow = (ribs & (volume.hu < 500)).astype(np.uint8)
    return Scan(volume, labels, Labels(marrow, affine, {1: "bone_marrow"}))


def broken(kind: str, location: str | None, side: str = "left", seed: int = 4) -> Scan:
    return add_finding(chest(), Finding("Fracture", side, location, kind=kind), np.random.default_rng(seed))


def middle_of(mask: np.ndarray) -> np.ndarray:
    index = np.argwhere(mask)
    return (index.min(0) + index.max(0))[::-1] / 2 * EDGE_MM + ORIGIN


def test_rib_line_runs_from_the_spine_to_the_front_within_the_rib() -> None:
    for side, sign in (("left", 1), ("right", -1)):
        line = rib_line(chest(), f"rib_{side}_6")
        assert line[0, 1] > line[-1, 1] + 80
        assert sign * line[len(line) // 2, 0] > sign * line[0, 0] + 50
        # At the spine the vertebra's processes cover the rib.
        index = np.rint((line[15:-4] - ORIGIN) / EDGE_MM).astype(int)[:, ::-1]
        assert chest().where(f"rib_{side}_6")[tuple(index.T)].mean() > 0.97


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    side=st.sampled_from(["left", "right"]),
    place=st.sampled_from(sorted(RIB_PLACES)),
    number=st.integers(3, 9),
    kind=st.sampled_from(["rib fracture", "healing rib fracture"]),
)
def test_it_changes_the_neighbourhood_of_the_wished_place(
    seed: int, side: str, place: str, number: int, kind: str
) -> None:
    after = broken(kind, f"{place} {number}th rib", side, seed)
    seen = after.seen[-1]
    assert seen.finding.laterality == side
    assert seen.finding.location in {f"{place} {number}th rib", f"{place} {number}rd rib"}
    at = middle_of(seen.mask)
    assert (at[0] > 0) == (side == "left")
    line = rib_line(chest(), f"rib_{side}_{number}")
    distance = np.linalg.norm(line - at, axis=1)
    assert distance.min() < 14
    least, most = RIB_PLACES[place]
    assert least - 0.06 < distance.argmin() / len(line) < most + 0.06
    changed = np.argwhere(after.volume.hu != chest().volume.hu)[:, ::-1] * EDGE_MM + ORIGIN
    assert np.linalg.norm(changed - at, axis=1).max() < 85
    box = np.argwhere(seen.mask)
    assert len(box) == np.prod(np.ptp(box, axis=0) + 1)
    assert (np.ptp(box, axis=0) * EDGE_MM).max() <= 32


def test_a_fresh_break_lowers_the_bone_in_the_gap_and_leaves_two_ends() -> None:
    before, after = chest(), broken("rib fracture", "lateral 6")
    mask = after.seen[-1].mask
    rib = before.where("rib_left_6") & mask
    lost = before.volume.hu[rib].astype(float) - after.volume.hu[rib]
    assert np.percentile(lost, 90) > 300
    gap = rib & ~after.where("rib_left_6")
    assert gap.any()
    assert np.median(after.volume.hu[gap]) < np.median(before.volume.hu[rib]) - 200
    # Both ends are displaced, none vanishes: bone is moved about, not taken away.
    kept = after.where("rib_left_6").sum() / before.where("rib_left_6").sum()
    assert 0.93 < kept < 1.02


def test_callus_thickens_the_rib_and_bridges_it() -> None:
    before, after = chest(), broken("healing rib fracture", "posterior 7", "right")
    mask = after.seen[-1].mask
    assert (after.where("rib_right_7") & mask).sum() > 1.15 * (before.where("rib_right_7") & mask).sum()
    new = after.where("rib_right_7") & ~before.where("rib_right_7") & mask
    assert 100 < np.median(after.volume.hu[new]) < 600


def test_parts_move_with_the_bone() -> None:
    after = broken("rib fracture", "lateral 6")
    assert after.parts is not None
    assert chest().parts is not None
    assert after.where("rib_left_6")[after.parts.array > 0].sum() > 0
    outside = (after.parts.array > 0) & ~np.isin(after.labels.array, after.values(after.labels.names.values()))
    assert not outside.any()


def test_same_seed_same_bytes_and_the_input_stays() -> None:
    hu = chest().volume.hu.copy()
    one, two = broken("rib fracture", None), broken("rib fracture", None)
    assert one.volume.hu.tobytes() == two.volume.hu.tobytes()
    assert one.seen[-1].finding == two.seen[-1].finding
    assert np.array_equal(hu, chest().volume.hu)


@pytest.mark.parametrize(
    ("location", "message"), [("somewhere", "lateral 6th rib"), ("lateral 14th rib", "rib_left_14")]
)
def test_wrong_wishes(location: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        broken("rib fracture", location)


def test_missing_ribs_are_named() -> None:
    names = {value: name for value, name in chest().labels.names.items() if name != "rib_left_6"}
    bare = replace(chest(), labels=replace(chest().labels, names=names))
    with pytest.raises(InputError, match="rib_left_6"):
        add_finding(bare, Finding("Fracture", "left", "lateral 6", kind="rib fracture"), np.random.default_rng(0))
