"""The script that writes the analytic thorax as a CT: what it writes reads back as the scene."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

from synth.core.reading import read_labels, read_volume
from synth.core.volume import same_grid
from synth.drr.analytic import thorax

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_is_written_reads_back(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    script = pytestconfig.rootpath / "scripts" / "make_thorax.py"
    command = [sys.executable, str(script), str(tmp_path / "new"), "--spacing", "6"]
    done = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    volume = read_volume(tmp_path / "new" / "thorax.nii.gz")
    labels = read_labels(tmp_path / "new" / "thorax_seg.nii.gz")
    assert same_grid(volume, labels)
    scene = thorax()
    expected, map_ = scene.voxelise(volume.shape, volume.affine)
    assert volume.hu.dtype == np.int16
    np.testing.assert_allclose(volume.hu, expected.hu, atol=0.51)
    np.testing.assert_array_equal(labels.array, map_.array)
    assert set(labels.names.items()) <= set(scene.label_names.items())
    np.testing.assert_allclose(volume.centre, 0, atol=1e-4)
    np.testing.assert_allclose(volume.spacing, 6, atol=1e-6)
