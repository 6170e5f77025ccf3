"""The cartilages of the ribs, and how they calcify."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synth.anatomy.bone import rod, share_along
from synth.anatomy.solids import Stroke, Tubes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.build import Build
    from synth.anatomy.ribs import RibBone

__all__ = ["cartilages"]

_GROUP = "cartilages"
_ROWS, _STEPS = 3, 36
_SMOOTHING = np.hanning(9)[1:-1] / np.hanning(9).sum()
"""Over how many steps calcified patches run on."""
_FIRST_PER_YEAR = 0.011
"""Share of the first cartilage that calcifies a year from the age of 25, at every age before the others (ours)."""


def cartilages(
    bones: tuple[RibBone, ...], build: Build, hu: Mapping[str, float], generator: np.random.Generator
) -> list[Stroke]:
    """Strokes of the costal cartilages of ribs 1 to 10, and of what is calcified in them; painted after the ribs.

    Args:
        bones: The ribs.
        build: Sex, age, and the share that is calcified.
        hu: Tissue → mean value.
        generator: Draws where calcium lies; the same number of draws for all bodies.
    """
    strokes: list[Stroke] = []
    for bone in bones:
        if len(bone.cartilage):
            strokes += _cartilage(bone, build, hu, generator)
    return strokes


def _cartilage(bone: RibBone, build: Build, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    # It begins a little beyond the bone's end: its round end sits in the bone's cup.
    path = bone.cartilage
    first = bone.line[-1] + min(0.4 * float(bone.half_thickness[-1]), 1.5) * _unit(path[1] - path[0])
    line = np.vstack([first, path[1:]])
    share = share_along(line)
    taper = np.interp(share, [0, 0.2, 1.0], [0.97, 0.92, 0.8 if bone.number <= 7 else 0.45])
    height = bone.half_height[-1] * taper
    stout = 2.1 if bone.number == 1 else 1.15  # than the end of its bone
    thickness = np.minimum(bone.half_thickness[-1] * stout * taper, height)
    normal = _unit((1 - share[:, None]) * bone.normal[-1] + share[:, None] * np.array([0.0, -1.0, 0.0]))
    solid = rod(line, height, thickness, normal)
    strokes = [Stroke((solid,), hu["cartilage"], "costal_cartilages", "", group=_GROUP)]
    calcium = _calcium(bone.number, line, normal, np.stack([height, thickness], axis=1), build, generator)
    if calcium is not None:
        over = ("costal_cartilages",)
        # The first ossifies: on the way from calcium to bone.
        value = (hu["calcification"] + hu["cortical_bone"]) / 2 if bone.number == 1 else hu["calcification"]
        strokes.append(Stroke((calcium,), value, None, "calcification", over=over, group=_GROUP))
    return strokes


def _calcium(
    number: int,
    line: NDArray[np.float64],
    normal: NDArray[np.float64],
    half: NDArray[np.float64],
    build: Build,
    generator: np.random.Generator,
) -> Tubes | None:
    """Broken lines of calcium: along the upper and lower margin in men, within in women (Rejtarova et al. 2004).

    Args:
        number: Of the rib; the first calcifies before the others.
        line: (n, 3) middle of the cartilage, world mm.
        normal: (n, 3) outward.
        half: (n, 2) half height and half thickness, mm.
        build: Sex, age, and the share that is calcified.
        generator: Source of the patches.

    Returns:
        None where nothing is calcified.
    """
    noise = generator.random((_ROWS, _STEPS + len(_SMOOTHING) - 1))
    jitter = generator.uniform(-1, 1, (2, _ROWS, _STEPS + 1))
    size = generator.uniform(0.5, 1.5, (_ROWS, _STEPS + 1))
    share = build.cartilage_calcification
    if number == 1:
        share = min(max(1.6 * share, 0.5 * share + _FIRST_PER_YEAR * (build.age - 25)), 0.95)
    if share <= 0:
        return None
    t = np.linspace(0.0, 0.97, _STEPS + 1)
    patches = np.array([np.convolve(row, _SMOOTHING, mode="valid") for row in noise])
    patches = patches + 0.15 * t[:-1]  # it begins at the rib
    chosen = patches <= np.quantile(patches, share)
    at, outward, halves = (_resampled(line, values, t) for values in (line, normal, half))
    across = np.cross(_unit(np.gradient(at, axis=0)), _unit(outward))
    tall, thick = halves.T
    if build.female:  # side by side in the middle
        up = np.array([[0.3], [-0.3], [0.0]]) + 0.2 * jitter[0]
        out, radius = 0.25 * jitter[1], 0.45 * size * thick
    else:  # on the upper and the lower margin, and on the outer face
        up = np.array([[0.82], [-0.82], [0.0]]) + np.array([[0.08], [0.08], [0.5]]) * jitter[0]
        out, radius = np.array([[0.0], [0.0], [0.75]]) + 0.25 * jitter[1], 0.36 * size * thick
    if number == 1:  # in lumps
        up, radius = 0.8 * up, 1.5 * radius
    points = at + (up * tall)[..., None] * across + (out * thick)[..., None] * _unit(outward)
    flat = np.broadcast_to(_unit(outward)[:-1], (_ROWS, _STEPS, 3))
    return Tubes(
        points[:, :-1][chosen],
        points[:, 1:][chosen],
        radius[:, :-1][chosen],
        radius[:, 1:][chosen],
        flat[chosen],
        np.ones(int(chosen.sum())),
    )


def _resampled(
    line: NDArray[np.float64], values: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(m, k): values (n, k) along a line, at shares (m,) of its length."""
    known = share_along(line)
    return np.stack([np.interp(share, known, column) for column in values.T], axis=1)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return unit
