"""Writes the analytic thorax as a CT with a label map, for demonstrations where no CT is at hand.

    python scripts/make_thorax.py FOLDER [--spacing 1.5]

FOLDER gets thorax.nii.gz (int16 HU), thorax_seg.nii.gz (labels) and thorax_labels.csv (label,name).
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813

from synth.drr.analytic import thorax


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spacing", type=float, default=1.5, help="voxel edge, mm")
    options = parser.parse_args()
    if not 0.3 <= options.spacing <= 20:
        parser.error(f"--spacing must be 0.3 to 20 mm, got {options.spacing}")
    write_thorax(options.folder, options.spacing)


def write_thorax(folder: Path, spacing: float) -> None:
    """Voxelises the thorax over its bounds, whose lower and upper faces cut the body as a scan does."""
    scene = thorax()
    assert scene.bounds is not None
    low, high = np.array(scene.bounds)
    size = np.floor((high - low) / spacing).astype(int)
    first = (low + high) / 2 - (size - 1) / 2 * spacing
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = first
    volume, labels = scene.voxelise((int(size[2]), int(size[1]), int(size[0])), affine)
    folder.mkdir(parents=True, exist_ok=True)
    _write(np.rint(volume.hu).astype(np.int16), first, spacing, folder / "thorax.nii.gz")
    _write(labels.array, first, spacing, folder / "thorax_seg.nii.gz")
    with (folder / "thorax_labels.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["label", "name"])
        writer.writerows(labels.names.items())


def _write(array: np.ndarray, origin: np.ndarray, spacing: float, path: Path) -> None:
    image = sitk.GetImageFromArray(array)
    image.SetOrigin(origin.tolist())
    image.SetSpacing([spacing] * 3)
    image.SetDirection(np.eye(3).ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=True)


if __name__ == "__main__":
    main()
