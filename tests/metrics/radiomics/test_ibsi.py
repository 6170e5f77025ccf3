"""The digital phantom of the Image Biomarker Standardisation Initiative: its consensus values."""

from __future__ import annotations

import csv
from typing import Any

import numpy as np
import pytest

from synth.metrics.radiomics.extract import extract
from synth.metrics.radiomics.ibsi import IBSI_TAGS
from synth.metrics.radiomics.settings import FEATURES, Settings
from tests.metrics.radiomics import fixtures

SAMPLE_VARIANCE = {"morph_pca_min_axis", "morph_pca_least_axis"}
"""IBSI's reference divides the voxels' scatter by n − 1, pyradiomics by n: 0.7 % of these axes, with 74 voxels."""


@pytest.fixture(scope="module")
def reference() -> dict[str, tuple[float, float]]:
    """Value and tolerance of each tag."""
    text = (fixtures.folder("ibsi") / "ibsi_1_dig_phantom.csv").read_text()
    rows = [row for row in csv.DictReader(text.splitlines(), delimiter=";") if row["reference value"]]
    return {row["tag"]: (float(row["reference value"]), float(row["tolerance"])) for row in rows}


@pytest.mark.parametrize(
    ("suffix", "options"),
    [("3D_avg", {}), ("3D_comb", {"merge": True}), ("2_5D_avg", {"in_plane": True}),
     ("2_5D_comb", {"in_plane": True, "merge": True})],
)  # fmt: skip
def test_digital_phantom(reference: Any, suffix: str, options: Any) -> None:
    phantom = np.load(fixtures.folder("ibsi") / "digital_phantom.npz")
    found = extract(phantom["image"], phantom["mask"], Settings(bin_width=1, **options), (2.0, 2.0, 2.0))
    compared = 0
    for tag, feature in IBSI_TAGS.items():
        value = found[feature] - 3 if tag == "stat_kurt" else found[feature]
        full = next((t for t in (tag, f"{tag}_{suffix}", f"{tag}_{suffix.rpartition('_')[0]}") if t in reference), None)
        if full is None or tag in SAMPLE_VARIANCE:
            continue
        expected, tolerance = reference[full]
        assert abs(float(f"{value:.3g}") - expected) <= tolerance + 1e-9 * abs(expected), full
        compared += 1
    assert compared == len(IBSI_TAGS) - len(SAMPLE_VARIANCE)


def test_axes_differ_from_ibsi_by_the_sample_variance(reference: Any) -> None:
    phantom = np.load(fixtures.folder("ibsi") / "digital_phantom.npz")
    found = extract(phantom["image"], phantom["mask"], Settings(bin_width=1), (2.0, 2.0, 2.0))
    n = phantom["mask"].sum()
    for tag in SAMPLE_VARIANCE:
        assert found[IBSI_TAGS[tag]] * np.sqrt(n / (n - 1)) == pytest.approx(reference[tag][0], abs=0.006)


def test_tags_name_features() -> None:
    known = {f"{kind}_{name}" for kind, names in FEATURES.items() for name in names}
    assert set(IBSI_TAGS.values()) <= known
