"""What a score says, in a sentence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from synth.metrics.score_value import Score

__all__ = ["LEVEL", "meaning"]

LEVEL = 0.05
"""p-value up to which sets are said to differ."""

_SHARES = {
    "precision": "of generated images look like some real image",
    "recall": "of real images look like some generated image",
    "coverage": "of real images have a generated image near them",
}


def meaning(metric: str, score: Score) -> str:
    """A sentence for a reader who does not know the metric.

    Args:
        metric: A name of `metrics.METRICS`.
        score: Its score.
    """
    if metric in _SHARES:
        beside = "" if score.floor is None else f"; real against real gives {score.floor:.0%}"
        return f"{score.value:.0%} {_SHARES[metric]}{beside}{_chance(score)}"
    if metric == "density":
        beside = "" if score.floor is None else f", and one real image among others {score.floor:.2g}"
        return f"a generated image has {score.value:.2g} times the real neighbours expected{beside}{_chance(score)}"
    if metric == "vendi":
        beside = "" if score.floor is None else f", the reference for {score.floor:.3g}"
        return f"the generated set counts for {score.value:.3g} different images{beside}{_chance(score)}"
    if metric == "ms-ssim":
        beside = "" if score.floor is None else f", two real ones {score.floor:.3f}"
        return f"two generated images are {score.value:.3f} alike{beside}{_chance(score)}"
    return _distance(metric, score)


def _distance(metric: str, score: Score) -> str:
    beside = _beside_floor(metric, score)
    if score.p_value is None:
        return beside or "no floor and no p-value: compare with other sets of this size only"
    if score.p_value <= LEVEL:
        said = f"the sets differ (p {score.p_value:.2g})"
    else:
        said = f"the sets are not told apart (p {score.p_value:.2g})"
    return f"{said}; {beside}" if beside else said


def _beside_floor(metric: str, score: Score) -> str:
    """The value in units of what real against real scores."""
    if score.floor is None or not math.isfinite(score.value) or not math.isfinite(score.floor):
        return ""
    if metric == "frd":  # a logarithm
        if score.value <= score.floor:
            return "no further than real from real"
        return f"the distance is {math.exp(score.value - score.floor):.3g} times that of real from real"
    if score.floor <= 0:
        return ""
    if metric in ("kid", "fd-inf"):  # their floors are standard deviations
        return f"{score.value / score.floor:.3g} standard deviations of real against real"
    return f"{score.value / score.floor:.3g} times what real against real scores"


def _chance(score: Score) -> str:
    if score.p_value is None:
        return ""
    beyond = "a difference beyond chance" if score.p_value <= LEVEL else "no difference beyond chance"
    return f"; {beyond} (p {score.p_value:.2g})"
