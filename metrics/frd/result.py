"""An FRD with all that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.metrics.frd.explain import FrdExplanation, explain
from synth.metrics.frd.normalise import NOTE
from synth.metrics.frd.outliers import FrdOutliers, find_outliers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from synth.metrics.frd.contrast import GreyShift
    from synth.metrics.frd.features import FrdTable, Version
    from synth.metrics.frd.normalise import Mode, Normalised
    from synth.metrics.score_value import Score

__all__ = ["FrdResult"]

_SHOWN = 3


@dataclass(frozen=True, eq=False)
class FrdResult:
    """An FRD. It is not symmetric: the reference sets the scale of every feature.

    Attributes:
        score: Value, interval, floor, p-value, sizes and warnings.
        distance: The squared Fréchet distance; `value` is its natural logarithm for v1, itself for v0.
        version: "v0" or "v1".
        mode: "clean" or "compat".
        reference: Name of the reference.
        generated: Name of the generated set.
        normalised: The features compared, and the columns left out.
        tables: The columns of both sets, of the images that were kept.
        grey: How stored grey values differ; None for tables made without images.
    """

    score: Score
    distance: float
    version: Version
    mode: Mode
    reference: str
    generated: str
    normalised: Normalised
    tables: tuple[FrdTable, FrdTable]
    grey: GreyShift | None = None

    @property
    def value(self) -> float:
        """The FRD."""
        return self.score.value

    @property
    def interval(self) -> tuple[float | None, float | None]:
        """95 % interval for the mean of the FRD at these sizes."""
        return self.score.low, self.score.high

    @property
    def floor(self) -> float | None:
        """The FRD of the reference against itself at these sizes."""
        return self.score.floor

    @property
    def p_value(self) -> float | None:
        """Permutation p-value of "both sets come from one distribution"."""
        return self.score.p_value

    @property
    def warnings(self) -> tuple[str, ...]:
        """What to know before believing the value."""
        return self.score.warnings

    @property
    def dropped(self) -> Mapping[str, str]:
        """Columns left out → why."""
        return self.normalised.dropped

    @property
    def log_distance(self) -> float:
        """Logarithm of d, equation 3 of the paper: half of what frd-score prints; 0 for a set against itself."""
        return 0.5 * (self.value if self.version == "v1" else float(np.log(self.distance)) if self.distance else 0.0)

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        score = self.score
        head = f"FRD {self.version} ({self.mode}) of {self.generated} against {self.reference} (the reference)"
        lines = [f"{head}: {score.value:.4f}"]
        if score.low is not None and score.high is not None:
            lines.append(f"  95 % interval  {score.low:.4f} to {score.high:.4f}")
        if score.floor is not None:
            lines.append(f"  floor          {score.floor:.4f}, the reference against itself at these sizes")
        if score.p_value is not None:
            lines.append(f"  p              {score.p_value:.3g} that both are of one distribution")
        lines.append(f"  images         {score.n_reference} reference, {score.n_generated} generated")
        lines.append(f"  features       {self._features()}")
        if self.grey is not None:
            lines.append(f"  grey values    {self.grey}")
        return "\n".join([*lines, *(f"  ! {warning}" for warning in score.warnings)])

    def _features(self) -> str:
        used, known = len(self.normalised.names), len(self.tables[0].names)
        named = [name for name, why in self.dropped.items() if why != NOTE]
        said = f"{used} of {known} columns"
        if len(named) < len(self.dropped):
            said += f"; {len(self.dropped) - len(named)} notes on the input are no features"
        if named:
            more = ", …" if len(named) > _SHOWN else ""
            said += f"; {len(named)} left out: {', '.join(named[:_SHOWN])}{more}"
        return said

    def explain(self) -> FrdExplanation:
        """Where the distance comes from."""
        return explain(self.normalised.x, self.normalised.y, self.normalised.names, self.reference, self.generated)

    def outliers(self, level: float = 0.05) -> FrdOutliers:
        """Which generated images are out of the reference's domain.

        Args:
            level: Share of fresh reference images that would be flagged.

        Raises:
            InputError: A level that is not between 0 and 1; fewer than 3 reference images.
        """
        varying = [k for k, name in enumerate(self.normalised.names) if name not in set(self.normalised.noise)]
        x, y = self.normalised.x[:, varying], self.normalised.y[:, varying]
        varies = x.std(0) > 0  # v0 keeps columns that the reference holds constant
        names = tuple(self.normalised.names[k] for k, keep in zip(varying, varies, strict=True) if keep)
        return find_outliers(x[:, varies], y[:, varies], names, self.tables[1].images, level)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return self.score.as_dict() | {
            "version": self.version,
            "mode": self.mode,
            "reference": self.reference,
            "generated": self.generated,
            "distance": self.distance,
            "features": len(self.normalised.names),
            "dropped": dict(self.dropped),
            "grey": None if self.grey is None else self.grey.as_dict(),
        }
