"""The enlarged heart and the widened mediastinum: their measures, and that nothing else moves."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synth.anatomy.findings.base import add_finding
from synth.anatomy.findings.heart import CTR, HEART, cardiothoracic_ratio
from synth.anatomy.findings.mediastinum import WIDTH_CM, mediastinal_width
from synth.anatomy.labels import LOBES
from synth.anatomy.scan import Scan
from synth.core.errors import InputError
from synth.core.reading import read_labels, read_volume
from synth.core.record import Finding
from synth.core.resampling import resample
from synth.core.volume import Labels, Volume
from synth.drr.analytic import thorax

if TYPE_CHECKING:
    from pathlib import Path

EDGE_MM = 3.0
BONES = ("sternum", *(f"rib_{side}_{n}" for side in ("left", "right") for n in range(1, 13)),
         *(f"vertebrae_T{n}" for n in range(1, 13)))  # fmt: skip


@functools.cache
def chest() -> Scan:
    affine = np.diag([EDGE_MM, EDGE_MM, EDGE_MM, 1.0])
    affine[:3, 3] = -175, -125, -190
    return Scan(*thorax().voxelise((127, 84, 117), affine))


def grown(severity: str, seed: int = 3) -> Scan:
    return add_finding(
        chest(), Finding("Cardiomegaly", severity=severity, kind="cardiomegaly"), np.random.default_rng(seed)
    )


def wide(severity: str, seed: int = 3) -> Scan:
    wish = Finding("Enlarged Cardiomediastinum", severity=severity)
    return add_finding(chest(), wish, np.random.default_rng(seed))


def test_ratio_of_boxes_is_exact() -> None:
    array = np.zeros((20, 20, 60), np.uint8)
    array[2:18, 2:18, 5:55] = 1
    array[4:10, 5:15, 20:45] = 2
    labels = Labels(array, np.diag([2.0, 3, 4, 1]), {1: "lung_lower_lobe_left", 2: "heart"})
    scan = Scan(Volume(np.zeros(array.shape, np.int16), labels.affine), labels)
    assert cardiothoracic_ratio(scan) == pytest.approx(25 / 50)


def test_ratio_does_not_depend_on_how_the_grid_is_stored() -> None:
    scan = chest()
    affine = scan.volume.affine @ np.diag([-1.0, 1, -1, 1])
    affine[:3, 3] += scan.volume.affine[:3, :3] @ [scan.volume.shape[2] - 1, 0, scan.volume.shape[0] - 1]
    turned = Scan(
        replace(scan.volume, hu=np.ascontiguousarray(scan.volume.hu[::-1, :, ::-1]), affine=affine),
        replace(scan.labels, array=np.ascontiguousarray(scan.labels.array[::-1, :, ::-1]), affine=affine),
    )
    assert cardiothoracic_ratio(turned) == pytest.approx(cardiothoracic_ratio(scan))
    assert mediastinal_width(turned) == pytest.approx(mediastinal_width(scan))


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), severity=st.sampled_from(sorted(CTR)))
def test_heart_reaches_the_ratio_of_its_severity(seed: int, severity: str) -> None:
    target = np.random.default_rng(seed).uniform(*CTR[severity])
    assert cardiothoracic_ratio(grown(severity, seed)) == pytest.approx(target, abs=0.02)


def test_heart_takes_the_room_of_the_lungs_and_moves_no_bone() -> None:
    before, after = chest(), grown("severe")
    assert np.array_equal(after.seen[-1].mask, after.where(*HEART))
    gained = after.where(*HEART).sum() - before.where(*HEART).sum()
    lost = before.where(*LOBES).sum() - after.where(*LOBES).sum()
    assert gained > 0.3 * before.where(*HEART).sum()
    assert 0.5 * gained < lost < 1.3 * gained
    for name in BONES:
        changed = before.where(name) != after.where(name)
        assert changed.sum() <= 0.02 * before.where(name).sum(), name
    # Values go with their labels: the heart's own, where it is deep.
    assert np.median(after.volume.hu[after.where("heart")]) == np.median(before.volume.hu[before.where("heart")])


def test_heart_grows_more_to_the_left_than_to_the_right() -> None:
    before, after = (np.nonzero(scan.where(*HEART))[2] for scan in (chest(), grown("moderate")))
    assert after.max() - before.max() > before.min() - after.min() >= 0


@pytest.mark.parametrize("make", [grown, wide])
def test_same_seed_same_bytes_and_the_input_stays(make: object) -> None:
    hu, labels = chest().volume.hu.copy(), chest().labels.array.copy()
    one, two, other = make("moderate", 5), make("moderate", 5), make("moderate", 6)  # type: ignore[operator]
    assert one.volume.hu.tobytes() == two.volume.hu.tobytes()
    assert one.labels.array.tobytes() == two.labels.array.tobytes()
    assert not np.array_equal(one.volume.hu, other.volume.hu)
    assert np.array_equal(hu, chest().volume.hu)
    assert np.array_equal(labels, chest().labels.array)


def test_a_heart_without_room_is_refused() -> None:
    # Lung remains at the sides only; what is between them and the heart has no label and gives way nowhere.
    scan = chest()
    x = np.abs(np.arange(scan.volume.shape[2]) * EDGE_MM - 175)
    array = scan.labels.array.copy()
    array[scan.where(*LOBES) & (x < 105)] = 0
    tight = replace(scan, labels=replace(scan.labels, array=array))
    with pytest.raises(InputError, match="cannot reach a cardiothoracic ratio"):
        add_finding(tight, Finding("Cardiomegaly", severity="severe"), np.random.default_rng(0))


@pytest.mark.parametrize("severity", sorted(WIDTH_CM))
def test_mediastinum_reaches_the_width_of_its_severity(severity: str) -> None:
    before, after = chest(), wide(severity)
    least, most = WIDTH_CM[severity]
    assert least - 0.5 <= mediastinal_width(after) <= most + 0.5
    assert after.seen[-1].finding.size_cm == pytest.approx(mediastinal_width(after), abs=0.06)
    mask = after.seen[-1].mask
    assert before.where(*LOBES)[mask].all()
    assert not after.where(*LOBES)[mask].any()
    assert np.percentile(after.volume.hu[mask], 5) > -150
    # Both sides of the trachea.
    x = np.nonzero(mask)[2] * EDGE_MM - 175
    assert min((x < -10).mean(), (x > 10).mean()) > 0.2


def test_the_old_mediastinum_stays_where_it_was() -> None:
    before, after = chest(), wide("severe")
    for name in ("trachea", "esophagus", "aorta", "superior_vena_cava", *BONES):
        assert np.array_equal(before.where(name), after.where(name)), name
    inner = before.where("trachea")
    assert np.array_equal(before.volume.hu[inner], after.volume.hu[inner])


def test_missing_labels_are_named() -> None:
    scan = chest()
    names = {value: name for value, name in scan.labels.names.items() if name != "heart"}
    bare = replace(scan, labels=replace(scan.labels, names=names))
    with pytest.raises(InputError, match="heart"):
        add_finding(bare, Finding("Cardiomegaly"), np.random.default_rng(0))
    with pytest.raises(InputError, match="heart"):
        cardiothoracic_ratio(bare)
    names = {value: name for value, name in scan.labels.names.items() if name != "trachea"}
    with pytest.raises(InputError, match="trachea"):
        mediastinal_width(replace(scan, labels=replace(scan.labels, names=names)))


def test_a_real_heart_grows(shared_data: Path) -> None:
    ct = read_volume(shared_data / "ct" / "lidc_idri_0001.nii.gz")
    labels = read_labels(shared_data / "ct" / "lidc_idri_0001_seg.nii.gz", ct)
    scan = Scan(resample(ct, 3.0), resample(labels, 3.0), supine=True)
    after = add_finding(
        scan, Finding("Cardiomegaly", severity="moderate", kind="cardiomegaly"), np.random.default_rng(1)
    )
    target = np.random.default_rng(1).uniform(*CTR["moderate"])
    assert cardiothoracic_ratio(after) == pytest.approx(target, abs=0.02)
    after = add_finding(scan, Finding("Enlarged Cardiomediastinum", severity="mild"), np.random.default_rng(1))
    assert mediastinal_width(after) == pytest.approx(8.7, abs=0.7)
