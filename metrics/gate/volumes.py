"""The checks of single CTs that a gate makes of a set: see `synth.metrics.volumes`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.core.reading import read_labels
from synth.metrics.gate.result import ImageVerdict
from synth.metrics.images.masks import MaskFile
from synth.metrics.images.subgroups import UNKNOWN, column_named, memberships
from synth.metrics.volumes.checks import volume_verdicts
from synth.metrics.volumes.structures import MaskedCt

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from synth.metrics.gate.checks import Subjects

__all__ = ["known_of", "volumes"]

_HEALTHY = frozenset({UNKNOWN, "no finding", "normal", "support devices"})


def volumes(subjects: Subjects) -> Iterator[ImageVerdict]:
    """CTs whose HU, lobes, airways or vessels are not those of a chest, or that have seams; nothing of 2D images.

    Files alone are read, as arrays have no voxel size; masks are looked at where they are label maps.
    """
    if subjects.flat:
        return
    images, wanted = subjects.generated, set(subjects.readable)
    masks = images.masks or (None,) * len(images)
    for entry, mask in zip(images.entries, masks, strict=True):
        volume = entry.source.read().volume if entry.name in wanted else None
        if volume is None:
            continue
        maps = [read_labels(mask.path, volume)] if isinstance(mask, MaskFile) else []
        ct = MaskedCt.of(volume, maps, **known_of(entry.row))
        for one in volume_verdicts(ct, subjects.rules.volume):
            yield ImageVerdict(entry.name, "volume", one.value, one.threshold, one.outcome, one.reason)


def known_of(row: Mapping[str, str]) -> dict[str, Any]:
    """Sex, height and illness of a row of a table, as `MaskedCt` takes them."""
    found = {name: memberships([row], name)[0] for name in ("sex", "finding") if column_named(list(row), name)}
    height = row.get("height_cm", "").strip()
    return {
        "sex": next((sex for sex in found.get("sex", ()) if sex in ("F", "M")), None),
        "height_cm": float(height) if height.replace(".", "", 1).isdigit() else None,
        "ill": any(name.lower() not in _HEALTHY for name in found.get("finding", ())),
    }
