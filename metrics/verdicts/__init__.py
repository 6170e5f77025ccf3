"""Verdicts on single samples: artefacts, outliers, anatomy, organs of a CT, copies, and what was asked for.

Each kind is fitted once to real samples, with a stated share of fresh real samples that it refuses, and can be saved:

    judge = Outliers.fit(features, names, rate=0.02, patients=patients)
    judge.judge(vector)       Verdict(name, value, threshold, outcome, reason)
"""

from synth.metrics.verdicts.anatomy import Anatomy
from synth.metrics.verdicts.artefacts import Artefacts
from synth.metrics.verdicts.condition import condition_verdicts
from synth.metrics.verdicts.copies import Copies
from synth.metrics.verdicts.organs import organ_verdicts, usual_organs
from synth.metrics.verdicts.outlier import Outliers
from synth.metrics.verdicts.verdict import Verdict, outcome_of

__all__ = [
    "Anatomy",
    "Artefacts",
    "Copies",
    "Outliers",
    "Verdict",
    "condition_verdicts",
    "organ_verdicts",
    "outcome_of",
    "usual_organs",
]
