"""Outlines of masks as paths of SVG: small beside the mask, sharp at any size."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["outline_path", "shrunk", "simplified", "trace"]

Points = list[tuple[int, int]]

_TOLERANCE = 0.75  # pixels; the steps of a slanting edge lie within 0.71 of it
_LEAST_AREA = 5.0  # square pixels of a loop that is drawn, of what is not thin


def outline_path(mask: NDArray[np.bool_], *, thin: bool = False) -> str:
    """The outline of a mask as SVG path data, in pixels; empty where nothing is left to draw.

    Args:
        mask: (h, w), bool.
        thin: Whether also the smallest loop is drawn, as of a wire.
    """
    parts = []
    for loop in trace(mask):
        if not thin and _area(loop) < _LEAST_AREA:
            continue
        points = simplified(loop)
        steps = [f"{x - u} {y - v}" for (u, v), (x, y) in pairwise(points)]
        parts.append(f"M{points[0][0]} {points[0][1]}l{' '.join(steps)}z".replace(" -", "-"))
    return "".join(parts)


def shrunk(mask: NDArray[np.bool_], shape: tuple[int, int], *, thin: bool = False) -> NDArray[np.bool_]:
    """A mask at a coarser shape (h, w): where half of a pixel is covered, or, of what is thin, a tenth."""
    if mask.shape == shape:
        return mask
    picture = Image.fromarray(mask.view(np.uint8) * np.uint8(255))
    covered = np.asarray(picture.resize(shape[::-1], Image.Resampling.BOX))
    found: NDArray[np.bool_] = covered >= (26 if thin else 128)
    return found


def trace(mask: NDArray[np.bool_]) -> list[Points]:
    """The borders of a mask as closed loops of corners (x, y), the inside on the right hand; pixel (0, 0) ends at 1."""
    following = _edges(np.pad(mask, 1))
    loops = []
    while following:
        start = next(iter(following))
        loop, at = [], start
        while at in following:
            ends = following[at]
            after = ends.pop()
            if not ends:
                del following[at]
            loop.append(at)
            at = after
        loops.append(_corners(loop))
    return loops


def simplified(loop: Points) -> Points:
    """A closed loop with fewer corners, by Douglas and Peucker (1973), within 0.75 pixels of the old one."""
    if len(loop) <= 4:
        return loop
    array = np.asarray(loop, np.float64)
    far = int(np.square(array - array[0]).sum(axis=1).argmax())
    ring = np.concatenate((array, array[:1]))
    kept = {0, far}
    spans = [(0, far), (far, len(loop))]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        distances = _distances(ring[first + 1 : last], ring[first], ring[last])
        worst = int(distances.argmax())
        if distances[worst] > _TOLERANCE:
            middle = first + 1 + worst
            kept.add(middle)
            spans += [(first, middle), (middle, last)]
    return [loop[number] for number in sorted(kept)] if len(kept) > 2 else loop


def _edges(padded: NDArray[np.bool_]) -> dict[tuple[int, int], Points]:
    """Start → ends of the unit edges between inside and outside."""
    following: dict[tuple[int, int], Points] = {}
    level = padded[1:] != padded[:-1]
    upright = padded[:, 1:] != padded[:, :-1]
    for y, x in np.argwhere(level).tolist():  # the border between rows y − 1 and y of the mask
        ends = ((x - 1, y), (x, y))
        start, end = ends if padded[y + 1, x] else ends[::-1]
        following.setdefault(start, []).append(end)
    for y, x in np.argwhere(upright).tolist():
        ends = ((x, y), (x, y - 1))
        start, end = ends if padded[y, x + 1] else ends[::-1]
        following.setdefault(start, []).append(end)
    return following


def _corners(loop: Points) -> Points:
    before = [loop[-1], *loop[:-1]]
    after = [*loop[1:], loop[0]]
    triples = zip(before, loop, after, strict=True)
    return [at for a, at, b in triples if (at[0] - a[0], at[1] - a[1]) != (b[0] - at[0], b[1] - at[1])]


def _distances(
    points: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> NDArray[np.float64]:
    """From points to the straight line between two others, or to the first where both are one."""
    along, away = end - start, points - start
    length = float(np.hypot(*along))
    if length == 0:
        return np.hypot(away[:, 0], away[:, 1])
    found: NDArray[np.float64] = np.abs(away[:, 0] * along[1] - away[:, 1] * along[0]) / length
    return found


def _area(loop: Points) -> float:
    array = np.asarray(loop, np.float64)
    x, y = array.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
