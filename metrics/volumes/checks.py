"""All checks of one CT."""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.metrics.volumes.density import agreement_verdicts, range_verdict
from synth.metrics.volumes.lobes import lobe_verdicts
from synth.metrics.volumes.rules import VolumeRules
from synth.metrics.volumes.seams import seam_verdict
from synth.metrics.volumes.trees import airway_verdicts, vessel_verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from synth.metrics.verdicts.verdict import Verdict
    from synth.metrics.volumes.structures import MaskedCt

__all__ = ["volume_verdicts"]

_DEFAULT = VolumeRules()


def volume_verdicts(ct: MaskedCt, rules: VolumeRules = _DEFAULT) -> tuple[Verdict, ...]:
    """The verdicts on one CT; of masks, those for which there are any.

    Args:
        ct: The CT with its masks.
        rules: Which checks, and how strict.
    """
    return tuple(_verdicts(ct, rules))


def _verdicts(ct: MaskedCt, rules: VolumeRules) -> Iterator[Verdict]:
    if rules.hu_range:
        yield range_verdict(ct.hu)
    if rules.agreement:
        yield from agreement_verdicts(ct)
    if rules.lobes:
        yield from lobe_verdicts(ct)
    if rules.airways:
        yield from airway_verdicts(ct, rules.airways)
    density = vessel_verdict(ct) if rules.vessels else None
    if density is not None:
        yield density
    if rules.seams:
        yield seam_verdict(ct.hu, rules.seams)
