"""Whether airways are one tree that reaches both lungs, and how much of the lungs is vessels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.metrics.verdicts.verdict import Verdict, below, undecided

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.volumes.structures import MaskedCt

    Mask = NDArray[np.bool_]

__all__ = ["VESSEL_SHARES", "airway_verdicts", "connected_share", "tree_of_trachea", "vessel_verdict"]

VESSEL_SHARES = (0.015, 0.10)
"""Share of the lungs' volume in vessels. Sun et al. 2015 (Chin J Appl Physiol 31:326) measured 125 ± 32 ml (94 to 201)
of vessels from 0.6 mm on in lungs of 3705 ± 857 ml (2398 to 5383), 12 people: 3.4 %, and 1.7 to 8.4 % of the ends.
Wider by us."""

_FINEST_MM = 3.5
"""Voxels above which bronchi and vessels are thinner than one."""

_LEAST_VOXELS = 50
_LEAST_PART = 0.05  # of the airways, to be taken for the windpipe
_TOUCH_MM = 6.0  # from an airway to the lobe that it enters
_EVERY_NEIGHBOUR = np.ones((3, 3, 3), np.bool_)


def tree_of_trachea(airways: Mask, *, upwards: bool = True) -> Mask:
    """The connected part, over faces, edges and corners, that reaches highest, of those with 5 % of the voxels.

    Args:
        airways: (z, y, x), not empty.
        upwards: Whether z indices grow to the head.
    """
    parts, n = ndimage.label(airways, _EVERY_NEIGHBOUR)
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    sizes[0] = 0
    large = np.flatnonzero(sizes >= min(_LEAST_PART * sizes.sum(), sizes.max()))
    boxes = ndimage.find_objects(parts)
    tops = [boxes[part - 1][0].stop if upwards else -boxes[part - 1][0].start for part in large]
    best = max(zip(tops, sizes[large], large, strict=True))[2]
    tree: Mask = parts == best
    return tree


def connected_share(airways: Mask, *, upwards: bool = True) -> float:
    """Share of the airways' voxels in the part of the windpipe; 0 without any."""
    total = np.count_nonzero(airways)
    return np.count_nonzero(tree_of_trachea(airways, upwards=upwards)) / total if total else 0.0


def airway_verdicts(ct: MaskedCt, least: float) -> tuple[Verdict, ...]:
    """Whether airways hang together, and reach both lungs; nothing without a mask of bronchi.

    Args:
        ct: The CT.
        least: Share of the airways that must hang together with the windpipe.
    """
    name = "airways connected"
    if ct.airways is None:
        return ()
    if max(ct.spacing_mm) > _FINEST_MM:
        return (undecided(name, f"voxels of {max(ct.spacing_mm):.1f} mm are too coarse for bronchi"),)
    voxels = np.count_nonzero(ct.airways)
    if voxels < _LEAST_VOXELS:
        return (Verdict(name, None, None, "fail", f"{voxels} voxels of airways: there is no windpipe"),)
    tree = tree_of_trachea(ct.airways, upwards=ct.upwards)
    share = np.count_nonzero(tree) / voxels
    verdicts = (below(name, share, least, "share of the airways that hang together with the windpipe:"),)
    return verdicts if ct.changed or not ct.lobes else (*verdicts, _reach(ct, tree))


def vessel_verdict(ct: MaskedCt) -> Verdict | None:
    """Whether lungs have as many vessels as lungs have; None without masks of vessels and lobes."""
    name = "vessel density"
    if ct.vessels is None or ct.lungs is None:
        return None
    if max(ct.spacing_mm) > _FINEST_MM:
        return undecided(name, f"voxels of {max(ct.spacing_mm):.1f} mm are too coarse for vessels")
    share = np.count_nonzero(ct.vessels) / np.count_nonzero(ct.lungs)
    low, high = VESSEL_SHARES
    inside = low <= share <= high
    if not inside and share < low and ct.changed:
        return undecided(name, f"vessels fill {share:.1%} of the lungs; a finding may hide others", share)
    reason = f"vessels fill {share:.1%} of the lungs, {'within' if inside else 'outside'} {low:.1%} to {high:.1%}"
    return Verdict(name, share, low if share < low else high, "pass" if inside else "fail", reason)


def _reach(ct: MaskedCt, tree: Mask) -> Verdict:
    """Whether the tree ends within a few millimetres of lobes of both sides."""
    missed = [side for side in ("left", "right") if not _near(ct, tree, side)]
    reason = f"the tree does not reach the {missed[0]} lung" if missed else "the tree reaches both lungs"
    return Verdict("airways reach", float(2 - len(missed)), 2.0, "fail" if missed else "pass", reason)


def _near(ct: MaskedCt, tree: Mask, side: str) -> bool:
    lobes = [mask for name, mask in ct.lobes.items() if name.endswith(side)]
    if not lobes:
        return False
    lung = np.logical_or.reduce(lobes)
    steps = max(1, round(_TOUCH_MM / min(ct.spacing_mm)))
    box = tuple(
        slice(max(one.start - steps, 0), one.stop + steps) for one in ndimage.find_objects(tree.view(np.uint8))[0]
    )
    grown = ndimage.binary_dilation(tree[box], iterations=steps)
    return bool((grown & lung[box]).any())
