"""Scans for the tests of lungs and pleura, and how they are asked."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
from scipy import ndimage

from synth.anatomy.findings.base import add_finding
from synth.anatomy.labels import LUNG_LEFT, LUNG_RIGHT
from synth.anatomy.scan import Scan
from synth.core.record import Finding
from synth.core.volume import Labels, Volume
from synth.drr.analytic import thorax

LUNGS = {"left": LUNG_LEFT, "right": LUNG_RIGHT}


@cache
def scan(spacing: tuple[float, float, float] = (4.0, 4.0, 4.0), dtype: str = "float32", supine: bool = False) -> Scan:
    """The analytic thorax on a grid; equal half extents whatever the spacing (x, y, z)."""
    edges = np.array(spacing)
    half = np.array([166.0, 116.0, 190.0])
    counts = np.rint(2 * half / edges).astype(int)
    affine = np.diag([*edges, 1.0])
    affine[:3, 3] = -half + edges / 2
    volume, labels = thorax().voxelise(tuple(int(n) for n in counts[::-1]), affine, supersample=2)
    return Scan(Volume(volume.hu.astype(dtype), affine, "thorax"), labels, supine=supine)


def made(before: Scan, kind: str, side: str | None, place: str | None = None, grade: str | None = None,
         size: float | None = None, seed: int = 0) -> Scan:  # fmt: skip
    """The scan with one finding."""
    return add_finding(before, Finding("", side, place, size, grade, kind), np.random.default_rng(seed))


def ml(mask: np.ndarray, of: Scan) -> float:
    """Volume of a mask."""
    return float(mask.sum() * np.prod(of.volume.spacing) / 1000)


def lung(of: Scan, side: str) -> np.ndarray:
    """Where the lung of a side is."""
    return of.where(*LUNGS[side])


def grown(mask: np.ndarray, voxels: int = 1) -> np.ndarray:
    """The mask and what touches it, corners too."""
    return ndimage.binary_dilation(mask, np.ones((3, 3, 3)), voxels)


def rise(before: Scan, after: Scan) -> np.ndarray:
    """Change of HU."""
    return after.volume.hu.astype(np.float64) - before.volume.hu


def without(of: Scan, *names: str) -> Scan:
    """The scan with some labels missing."""
    names_left = {value: name for value, name in of.labels.names.items() if name not in names}
    array = np.where(np.isin(of.labels.array, list(names_left)), of.labels.array, 0).astype(of.labels.array.dtype)
    return replace(of, labels=Labels(array, of.labels.affine, names_left, of.labels.name))
