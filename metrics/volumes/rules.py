"""Which checks of a CT a gate makes, and how strict they are."""

from __future__ import annotations

from dataclasses import dataclass

from synth.core.errors import InputError

__all__ = ["VolumeRules"]


@dataclass(frozen=True)
class VolumeRules:
    """Checks of single CTs; `false` or 0 turns one off. All but the first and `seams` need masks.

    Attributes:
        hu_range: Refuse CTs with values that no scanner stores.
        agreement: Refuse CTs whose airways, vessels, bones or lobes have not the HU of air, blood, bone or lung.
        lobes: Refuse lungs, and lobes, of volumes that adults do not have.
        airways: Refuse airways of which less than this share hangs together with the windpipe.
        vessels: Refuse lungs with fewer or more vessels than lungs have.
        seams: Refuse CTs with steps across whole planes, at this level of the test.
    """

    hu_range: bool = True
    agreement: bool = True
    lobes: bool = True
    airways: float = 0.8
    vessels: bool = True
    seams: float = 0.001

    @classmethod
    def none(cls) -> VolumeRules:
        """No check at all."""
        return cls(hu_range=False, agreement=False, lobes=False, airways=0, vessels=False, seams=0)

    def __post_init__(self) -> None:
        if not 0 <= self.airways <= 1:
            raise InputError(f"airways must be a share, 0 (off) to 1, got {self.airways!r}")
        if not 0 <= self.seams < 1:
            raise InputError(f"seams must be a level, 0 (off) to below 1, got {self.seams!r}")
