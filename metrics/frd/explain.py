"""Where an FRD comes from: shares of feature classes, filters and columns, as a table and a picture."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np

from synth.core.errors import InputError
from synth.metrics.frd.parts import ColumnParts, column_parts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["FrdExplanation", "Grouping", "Share", "explain"]

Grouping: TypeAlias = Literal["class", "filter", "class and filter", "column"]

CLASSES = {
    "firstorder": "histogram",
    "glcm": "co-occurrence",
    "glrlm": "runs",
    "glszm": "zones",
    "gldm": "dependence",
    "ngtdm": "neighbour differences",
    "shape": "shape of the mask",
    "shape2D": "shape of the mask",
    "diagnostics": "notes on the input",
    "grey": "grey values as stored",
}
"""Feature classes in words."""


class Share(NamedTuple):
    """What some columns add to the squared distance.

    Attributes:
        name: Of the group, or the column.
        mean: From differing means.
        covariance: From differing variances and correlations.
        columns: How many they are.
        share: (mean + covariance) / distance, 0 to 1.
    """

    name: str
    mean: float
    covariance: float
    columns: int
    share: float

    @property
    def total(self) -> float:
        """Both parts."""
        return self.mean + self.covariance


@dataclass(frozen=True, eq=False)
class FrdExplanation:
    """An FRD split into its columns; the parts add up to the squared distance exactly.

    Attributes:
        reference: Name of the reference.
        generated: Name of the generated set.
        names: (d,) of the columns.
        parts: What each column adds; see `frd_parts`.
        shift: (d,) generated less reference mean, in standard deviations of the reference.
        spread: (d,) generated over reference standard deviation.
    """

    reference: str
    generated: str
    names: tuple[str, ...]
    parts: ColumnParts
    shift: Floats
    spread: Floats

    @property
    def distance(self) -> float:
        """The squared Fréchet distance."""
        return float(self.parts.total.sum())

    def by(self, grouping: Grouping = "class") -> tuple[Share, ...]:
        """Shares of all groups, the largest first.

        Raises:
            InputError: An unknown grouping.
        """
        label = _labels(grouping)
        found: defaultdict[str, list[int]] = defaultdict(list)
        for k, name in enumerate(self.names):
            found[label(name)].append(k)
        shares = [self._share(group, columns) for group, columns in found.items()]
        return tuple(sorted(shares, key=lambda one: (-one.total, one.name)))

    def _share(self, name: str, columns: list[int]) -> Share:
        mean, covariance = float(self.parts.mean[columns].sum()), float(self.parts.covariance[columns].sum())
        share = (mean + covariance) / self.distance if self.distance > 0 else 0.0
        return Share(name, mean, covariance, len(columns), share)

    def table(self, top: int = 10) -> str:
        """Ranked shares by class, filter and column, for the terminal.

        Args:
            top: Columns to list.
        """
        mean = float(self.parts.mean.sum())
        part = mean / self.distance if self.distance > 0 else 0.0
        lines = [
            f"squared distance of {self.generated} from {self.reference} (the reference): {self.distance:.6g}",
            f"means {part:.1%}, covariances {1 - part if self.distance > 0 else 0.0:.1%}",
        ]
        groupings: tuple[Grouping, ...] = ("class", "filter")
        for grouping in groupings:
            lines += ["", _row(grouping, "share", "mean", "covariance", "columns")]
            lines += [
                _row(_worded(one.name), f"{one.share:.1%}", f"{one.mean:.4g}", f"{one.covariance:.4g}", one.columns)
                for one in self.by(grouping)
            ]
        lines += ["", _row("column", "share", "mean", "covariance", "shift/SD", "SD ratio")]
        for one in self.by("column")[:top]:
            k = self.names.index(one.name)
            cells = f"{one.share:.1%}", f"{one.mean:.4g}", f"{one.covariance:.4g}"
            lines.append(_row(one.name, *cells, f"{self.shift[k]:+.2f}", f"{self.spread[k]:.2f}"))
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.table()

    def svg(self, top: int = 12) -> str:
        """The same as a picture: stacked bars of mean and covariance parts, as an SVG document.

        Args:
            top: Columns to draw.
        """
        from synth.metrics.frd.plot import bars

        panels = [("feature class", self.by("class")), ("filter", self.by("filter"))]
        panels.append(
            (f"the {min(top, len(self.names))} largest of {len(self.names)} features", self.by("column")[:top])
        )
        title = f"FRD of {self.generated} from {self.reference} (reference): where it comes from"
        return bars(title, [(name, [one._replace(name=_worded(one.name)) for one in rows]) for name, rows in panels])

    def save_svg(self, path: Path | str, top: int = 12) -> None:
        """Writes the picture.

        Raises:
            InputError: The file cannot be written.
        """
        from pathlib import Path

        from synth.core.files import atomic_path

        with atomic_path(Path(path)) as temporary:
            temporary.write_text(self.svg(top), encoding="utf-8")

    def as_dict(self, top: int = 20) -> dict[str, Any]:
        """Plain values, for JSON."""
        groupings: tuple[Grouping, ...] = ("class", "filter", "class and filter")
        return {
            "reference": self.reference,
            "generated": self.generated,
            "distance": self.distance,
            "mean": float(self.parts.mean.sum()),
            "covariance": float(self.parts.covariance.sum()),
            **{f"by {grouping}": [one._asdict() for one in self.by(grouping)] for grouping in groupings},
            "columns": [one._asdict() for one in self.by("column")[:top]],
        }


def explain(x: Floats, y: Floats, names: tuple[str, ...], reference: str, generated: str) -> FrdExplanation:
    """Splits the distance of normalised features x (n, d) of the reference and y (m, d) of the generated set."""
    deviation = np.where(x.std(0) > 0, x.std(0), np.nan)
    shift, spread = (y.mean(0) - x.mean(0)) / deviation, y.std(0) / deviation
    return FrdExplanation(reference, generated, names, column_parts(x, y), shift, spread)


def _labels(grouping: str) -> Callable[[str], str]:
    from synth.metrics.radiomics.settings import split_name  # its package compiles kernels: only where it is used

    if grouping == "column":
        return str
    if grouping == "class":
        return lambda name: split_name(name)[1]
    if grouping == "filter":
        return lambda name: split_name(name)[0]
    if grouping == "class and filter":
        return lambda name: " of ".join(split_name(name)[1::-1])
    raise InputError(f"grouping must be 'class', 'filter', 'class and filter' or 'column', got {grouping!r}")


def _worded(name: str) -> str:
    return f"{name} ({CLASSES[name]})" if name in CLASSES else name


def _row(first: object, *cells: object) -> str:
    return f"  {first!s:<52}" + "".join(f"{cell!s:>12}" for cell in cells)
