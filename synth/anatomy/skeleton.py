"""The skeleton of the trunk: spine, ribs, breastbone, shoulder girdles and upper arms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.anatomy.cartilage import cartilages
from synth.anatomy.ribs import rib_bones, ribs
from synth.anatomy.shoulder import shoulders
from synth.anatomy.sternum import sternum
from synth.anatomy.vertebrae import vertebrae

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from synth.anatomy.frame import Frame
    from synth.anatomy.solids import Stroke

__all__ = ["skeleton"]


def skeleton(frame: Frame, hu: Mapping[str, float], generator: np.random.Generator) -> list[Stroke]:
    """Strokes of all bones, discs and cartilages from C5 to L3, and of the vertebral canal.

    Args:
        frame: The plan of the body.
        hu: Tissue → mean value: cortical_bone, trabecular, trabecular_rib, marrow, cartilage, calcification, disc, csf
            and spinal_cord.
        generator: Draws what differs from bone to bone; each part of the skeleton has a stream of its own.

    Returns:
        In paint order: what is painted later lies in front where bones touch.
    """
    for_ribs, for_cartilage, for_spine, for_shoulders = generator.spawn(4)
    bones = rib_bones(frame, for_ribs)
    return [
        *ribs(bones, frame.build.cortex_mm, hu),
        *cartilages(bones, frame.build, hu, for_cartilage),
        *sternum(frame, hu),
        *vertebrae(frame, hu, for_spine, bones),
        *shoulders(frame, hu, for_shoulders),
    ]
