"""What became of a sample that had to pass a gate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synth.core.record import Record, Sample, ScanSample
    from synth.metrics.verdicts import Verdict

__all__ = ["Judged", "Refusal"]


@dataclass(frozen=True)
class Refusal:
    """One sample for which an attempt was refused; an attempt of several views may have several.

    Attributes:
        attempt: Its number, from 0.
        index: The sample of the case that failed.
        record: What was said of that sample; what was asked for, where it could not be made.
        verdicts: All on that sample, the failed ones among them.
        sample: The sample, where refused ones are kept.
    """

    attempt: int
    index: int
    record: Record
    verdicts: tuple[Verdict, ...]
    sample: Sample | ScanSample | None = None


@dataclass(frozen=True)
class Judged:
    """One place of the dataset after its gate.

    Attributes:
        index: The sample's index.
        case: Name of the request.
        sample: The accepted sample; None where every attempt was refused: the place stays empty.
        attempt: Which attempt it is of, from 0.
        verdicts: On the accepted sample; None where there is no gate.
        refusals: What was refused before; all of a case's stand with its first sample.
    """

    index: int
    case: str
    sample: Sample | ScanSample | None
    attempt: int = 0
    verdicts: tuple[Verdict, ...] | None = None
    refusals: tuple[Refusal, ...] = ()
