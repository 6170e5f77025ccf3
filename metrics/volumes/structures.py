"""What the names of masks say: lobes, airways, vessels of the lungs, bones, findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.metrics.verdicts.organs import organ_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from numpy.typing import NDArray

    from synth.core.volume import Labels, Volume

    Mask = NDArray[np.bool_]

__all__ = ["LOBES", "MaskedCt"]

LOBES = (
    "lung_upper_lobe_left",
    "lung_lower_lobe_left",
    "lung_upper_lobe_right",
    "lung_middle_lobe_right",
    "lung_lower_lobe_right",
)
"""TotalSegmentator's names."""

_AIRWAYS = ("lung_airways", "lung_trachea_bronchia", "airway_lumen", "trachea")
_VESSELS = ("lung_vessels", "lung_artery", "lung_vein")
_FINDINGS = ("finding", "lung_nodule", "lung_tumor")
_TOGETHER = {"airways": "lung_airways", "vessels": "lung_vessels", "bones": "bones", "finding": "finding"}


@dataclass(frozen=True, eq=False)
class MaskedCt:
    """A CT with masks that may overlap.

    Attributes:
        hu: (z, y, x).
        masks: Structure → (z, y, x) bool.
        spacing_mm: Voxel edges along (z, y, x).
        upwards: Whether z indices grow to the head.
        sex: "F", "M", or unknown.
        height_cm: Of the body, where known.
        ill: Whether something is known to be found in this chest, which may change the volume and density of lobes.
    """

    hu: NDArray[Any]
    masks: Mapping[str, Mask] = field(default_factory=dict)
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    upwards: bool = True
    sex: str | None = None
    height_cm: float | None = None
    ill: bool = False

    def __post_init__(self) -> None:
        for name, mask in self.masks.items():
            if mask.shape != self.hu.shape:
                raise InputError(f"CT of {self.hu.shape} and {name} of {mask.shape} voxels: give them on one grid")

    @classmethod
    def of(cls, volume: Volume, maps: Iterable[Labels], **known: Any) -> MaskedCt:
        """A CT and label maps on its grid; only what is judged is taken out of the maps.

        Args:
            volume: The CT.
            maps: Masks of one kind are united.
            known: Of the patient: sex, height_cm, ill.

        Raises:
            InputError: Maps on another grid.
        """
        masks: dict[str, Mask] = {}
        for labels in maps:
            for name, values in _united(labels.names).items():
                table = np.zeros(np.iinfo(labels.array.dtype).max + 1, np.bool_)
                table[values] = True
                mask = table[labels.array]
                masks[name] = masks[name] | mask if name in masks else mask
        z, y, x = map(float, volume.spacing[::-1])
        return cls(volume.hu, masks, (z, y, x), bool(volume.affine[2, 2] >= 0), **known)

    @property
    def voxel_ml(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing_mm)) / 1000

    @cached_property
    def lobes(self) -> dict[str, Mask]:
        """Those of the five that have voxels."""
        return {name: self.masks[name] for name in LOBES if name in self.masks and self.masks[name].any()}

    @cached_property
    def airways(self) -> Mask | None:
        """Windpipe and bronchi; None where there is no mask of bronchi."""
        return self._union("airways") if any(name in self.masks for name in _AIRWAYS[:-1]) else None

    @cached_property
    def vessels(self) -> Mask | None:
        """Arteries and veins of the lungs."""
        return self._union("vessels")

    @cached_property
    def bones(self) -> Mask | None:
        """All bones."""
        return self._union("bones")

    @cached_property
    def finding(self) -> Mask | None:
        """All findings."""
        return self._union("finding")

    @cached_property
    def lungs(self) -> Mask | None:
        """Lobes with their vessels, which a map of one label a voxel takes out of them; None without lobes."""
        if not self.lobes:
            return None
        lungs: Mask = np.logical_or.reduce(list(self.lobes.values()))
        return lungs if self.vessels is None else lungs | self.vessels

    @property
    def changed(self) -> bool:
        """Whether lobes may be other than those of healthy people."""
        return self.ill or (self.finding is not None and bool(self.finding.any()))

    def _union(self, role: str) -> Mask | None:
        masks = [mask for name, mask in self.masks.items() if _role(name) == role]
        return np.logical_or.reduce(masks) if masks else None


def _united(names: Mapping[int, str]) -> dict[str, list[int]]:
    """Name to judge by → labels: lobes and the windpipe each, bronchi, vessels, bones and findings together."""
    found: dict[str, list[int]] = {}
    for value, name in names.items():
        role = _role(name)
        if role is not None:
            found.setdefault(name if role == "lobes" or name == "trachea" else _TOGETHER[role], []).append(value)
    return found


def _role(name: str) -> str | None:
    """Lobes, airways, vessels, bones, finding, or None for what is not judged."""
    if name in LOBES:
        return "lobes"
    for role, names in (("airways", _AIRWAYS), ("vessels", _VESSELS)):
        if name in names:
            return role
    if name.startswith(_FINDINGS):
        return "finding"
    return "bones" if name == "bones" or organ_of(name) == "bone" else None
