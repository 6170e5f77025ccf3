"""Which single images a gate refuses."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from synth.core.errors import InputError
from synth.metrics.volumes.rules import VolumeRules

__all__ = ["SampleRules"]

_SHARES = ("artefacts", "outlier", "anatomy", "copies", "condition")


@dataclass(frozen=True)
class SampleRules:
    """Checks of single images; `false` or 0 turns one off.

    A share is that of fresh real images that the check may refuse, of random patients, each weighing 1; its thresholds
    are fitted to the reference.

    Attributes:
        unreadable: Refuse files that cannot be read.
        undefined: Refuse images whose features are undefined: masks that are empty or too small.
        repeats: Refuse images that repeat an earlier one of the set pixel by pixel; the first stays.
        copies: Refuse images that are in the reference or the training set pixel by pixel, and those far nearer to one
            training patient than to others; a share, of the latter.
        artefacts: Refuse blank, clipped, framed, tiled, noisy or smooth 2D images; a share.
        outlier: Refuse images whose features lie further out than nearly all of the reference's; a share.
        anatomy: Refuse images whose masks are of unusual size or place, or miss a structure; a share. Needs masks.
        organs: Refuse CTs whose organs are missing or have not the HU that organs have. Needs label maps.
        condition: Refuse images that do not show what their table says; below this probability. Needs a reader.
        volume: Which CTs to refuse whose HU, lobes, airways or vessels are not those of a chest, or that have seams.
    """

    unreadable: bool = True
    undefined: bool = True
    repeats: bool = True
    copies: float = 0.01
    artefacts: float = 0.03
    outlier: float = 0.02
    anatomy: float = 0.03
    organs: bool = True
    condition: float = 0.2
    volume: VolumeRules = field(default_factory=VolumeRules)

    def __post_init__(self) -> None:
        for name in _SHARES:
            share = getattr(self, name)
            if not isinstance(share, int | float) or not 0 <= share < 1:
                raise InputError(f"{name} must be a share, 0 (off) to below 1, got {share!r}")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as a file would have them."""
        return asdict(self)
