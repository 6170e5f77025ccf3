"""Which images are out of the reference's domain, by the distance of their radiomic features from its mean.

After Konz, Osuala et al. (2026), section on out-of-domain detection: an image's score is |z|, the length of its
features in the reference's standard deviations from the reference's mean; the threshold is the 95th percentile of the
reference's own scores; and how far two sets are apart by these scores is nFRD = 2 (AUC − ½).

The authors score reference images against a mean and standard deviations that these images took part in, which makes
them look nearer than fresh ones, and take the scores as Gaussian, which they are not. Here each reference image is
scored against all the others, and the p-value is its rank: of fresh images from the reference's distribution about a
share p has a p-value of at most p, whatever the distribution (conformal prediction; Vovk, Gammerman and Shafer 2005).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.metrics.frd.normalise import GUARD

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["FrdOutliers", "find_outliers"]

REASONS = 3
"""Features to name for an image."""


@dataclass(frozen=True, eq=False)
class FrdOutliers:
    """Out-of-domain scores of the images of a generated set.

    Attributes:
        images: (m,) names.
        scores: (m,) distances from the reference's mean, in its standard deviations.
        p_values: (m,) share of reference images, and the image itself, that lie at least as far out.
        reference_scores: (n,) of the reference's images, each against the others.
        level: Share of fresh reference images that would be flagged.
        nfrd: 2 (AUC − ½) of the scores: 0 where both sets lie alike, 1 where every generated image lies further out,
            below 0 where they lie nearer.
        names: (d,) of the columns.
        deviations: (m, d) of each image, in standard deviations of the reference.
    """

    images: tuple[str, ...]
    scores: Floats
    p_values: Floats
    reference_scores: Floats
    level: float
    nfrd: float
    names: tuple[str, ...]
    deviations: Floats

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """(m,) whether an image is out of domain: p at most the level."""
        return self.p_values <= self.level + 1e-12

    @property
    def threshold(self) -> float:
        """The score beyond which an image is flagged; infinite with fewer than 1/level − 1 reference images."""
        n = len(self.reference_scores)
        allowed = int(np.floor(self.level * (n + 1) + 1e-9)) - 1
        return float(np.sort(self.reference_scores)[n - 1 - allowed]) if allowed >= 0 else float("inf")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know."""
        n = len(self.reference_scores)
        least = int(np.ceil(1 / self.level - 1e-9)) - 1
        if n >= least:
            return ()
        return (
            f"{n} reference images: no p-value can be below 1/{n + 1}; {least} are needed to flag at {self.level:g}",
        )

    def reasons(self, index: int, count: int = REASONS) -> tuple[str, ...]:
        """The features that put an image furthest out, "name +4.1 SD" each."""
        furthest = np.argsort(-np.abs(self.deviations[index]), kind="stable")[:count]
        return tuple(f"{self.names[k]} {self.deviations[index, k]:+.1f} SD" for k in furthest)

    def table(self, top: int = 10) -> str:
        """The images furthest out, with their reasons, for the terminal.

        Args:
            top: Images to list.
        """
        lines = [
            f"{int(self.flagged.sum())} of {len(self.images)} images out of domain at level {self.level:g} "
            f"(of fresh reference images {self.level:.0%} would be); nFRD {self.nfrd:.3f}",
            *self.warnings,
            f"  {'score':>10}{'p':>9}  image: features furthest from the reference",
        ]
        for k in np.argsort(-self.scores, kind="stable")[:top]:
            row = f"  {self.scores[k]:>10.2f}{self.p_values[k]:>9.3f}"
            lines.append(f"{row}  {self.images[k]}: {', '.join(self.reasons(int(k)))}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        rows = zip(self.images, self.scores.tolist(), self.p_values.tolist(), self.flagged.tolist(), strict=True)
        return {
            "level": self.level,
            "threshold": self.threshold,
            "nfrd": self.nfrd,
            "warnings": list(self.warnings),
            "images": [
                {"image": image, "score": score, "p_value": p, "flagged": flagged, "reasons": list(self.reasons(k))}
                for k, (image, score, p, flagged) in enumerate(rows)
            ],
        }


def find_outliers(
    x: Floats, y: Floats, names: tuple[str, ...], images: tuple[str, ...], level: float = 0.05
) -> FrdOutliers:
    """Scores generated images against the reference.

    Args:
        x: (n, d) features of the reference, none constant in it; normalised or not.
        y: (m, d) of the generated set.
        names: (d,) of the columns.
        images: (m,) names of the generated images.
        level: Share of fresh reference images to flag.

    Raises:
        InputError: A level that is not between 0 and 1; fewer than 3 reference images.
    """
    if not 0 < level < 1:
        raise InputError(f"level must lie between 0 and 1, got {level}")
    if len(x) < 3:
        raise InputError(f"{len(x)} reference images: outliers need at least 3")
    mean, deviation = x.mean(0), x.std(0)
    own, deviations = _left_out((x - mean) / deviation), (y - mean) / deviation
    reference_scores, scores = np.sqrt(np.square(own).sum(1)), np.sqrt(np.square(deviations).sum(1))
    further = np.array([np.count_nonzero(reference_scores >= score) for score in scores])
    p_values = (1 + further) / (len(x) + 1)
    nfrd = 2 * (_auc(reference_scores, scores) - 0.5)
    return FrdOutliers(images, scores, p_values, reference_scores, level, nfrd, names, deviations)


def _left_out(z: Floats) -> Floats:
    """z-scores (n, d) of every image by the mean and standard deviation of the others.

    With z of mean 0 and mean square 1 these are z √n / √(n − 1 − z²). Where the others are all alike the column says
    nothing, as it is left out of a reference in which it is constant.
    """
    n = len(z)
    rest = n - 1 - np.square(z)
    return np.asarray(np.where(rest > GUARD * n, z * np.sqrt(n / np.maximum(rest, GUARD * n)), 0.0), np.float64)


def _auc(low: Floats, high: Floats) -> float:
    """Share of pairs in which `high` is higher, ties by half."""
    ordered = np.sort(low)
    below, upto = np.searchsorted(ordered, high, "left"), np.searchsorted(ordered, high, "right")
    return float((below + upto).sum() / (2 * len(low) * len(high)))
