"""Bronchi for a lung whose airways are not labelled: what an air bronchogram shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["bronchial_tree"]

# Horsfield & Cumming 1968 (J Appl Physiol 24:373): daughters are about 0.8 times as wide and long as their parent, and
# leave it at about 35 degrees. A segmental bronchus has a lumen of 4 to 5 mm.
_NARROWS, _SHORTENS, _ANGLE = 0.79, 0.8, np.radians(35.0)
_STEM_MM = 2.1
_GENERATIONS = 6


def bronchial_tree(
    root: NDArray[np.float64], target: NDArray[np.float64], reach_mm: float, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Segments of a tree that runs from a root towards a target and branches around it.

    Args:
        root: (3,) world mm, at the hilum.
        target: (3,) world mm.
        reach_mm: How far around the target it spreads.
        generator: Angles and lengths.

    Returns:
        Starts (n, 3), ends (n, 3), and radii at both (n, 2), mm.
    """
    way = target - root
    length = float(np.linalg.norm(way))
    heading = way / max(length, 1e-6)
    stem = max(length - 0.6 * reach_mm, 0.3 * length)
    knee = root + 0.5 * stem * heading + generator.normal(0.0, 0.04 * stem, 3)
    end = root + stem * heading
    segments = [(root, knee, _STEM_MM / _NARROWS, _STEM_MM), (knee, end, _STEM_MM, _STEM_MM)]
    tips = [(end, heading, _STEM_MM, 0.42 * reach_mm)]
    for _ in range(_GENERATIONS):
        grown = []
        for start, along, radius, step in tips:
            across = np.cross(along, generator.standard_normal(3))
            across /= np.linalg.norm(across)
            for sign in (-1.0, 1.0):
                angle = sign * _ANGLE * generator.uniform(0.6, 1.3)
                turned = np.cos(angle) * along + np.sin(angle) * across
                tip = start + step * generator.uniform(0.7, 1.2) * turned
                segments.append((start, tip, radius, _NARROWS * radius))
                grown.append((tip, turned, _NARROWS * radius, _SHORTENS * step))
        tips = grown
    start, end, first, last = zip(*segments, strict=True)
    return np.array(start), np.array(end), np.stack([first, last], axis=1)
