"""What a classifier said of images, what is true, and of whom the images are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from synth.core.errors import InputError
from synth.metrics.fairness.by_group import group_rows
from synth.metrics.images.subgroups import cells
from synth.metrics.images.tables import read_table
from synth.metrics.patients import codes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["ClassifierTable"]

_BOOLEANS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


@dataclass(frozen=True, eq=False)
class ClassifierTable:
    """Predictions of one label.

    Attributes:
        truth: (n,) whether the label is true.
        prediction: (n,) whether the classifier says so.
        rows: (n) columns to group by → cells.
        patients: (n,) a code for each patient.
        warnings: What a reader should know.
    """

    truth: NDArray[np.bool_]
    prediction: NDArray[np.bool_]
    rows: tuple[Mapping[str, str], ...]
    patients: NDArray[np.intp]
    warnings: tuple[str, ...] = field(default=())

    @classmethod
    def of(
        cls,
        truth: ArrayLike,
        prediction: ArrayLike,
        groups: Mapping[str, Sequence[object]],
        *,
        patients: Sequence[object] | None = None,
        threshold: float | None = None,
    ) -> ClassifierTable:
        """A table of arrays.

        Args:
            truth: (n,) 0 and 1.
            prediction: (n,) 0 and 1, or probabilities where a threshold is given.
            groups: Column → (n) cells.
            patients: (n) names; default: an image each, with a warning.
            threshold: From this probability on the prediction is 1.

        Raises:
            InputError: Lengths that differ, no rows, or other values.
        """
        true, predicted = _numbers(truth, "truth"), _numbers(prediction, "prediction")
        n = len(true)
        lengths = {"prediction": len(predicted), **{name: len(column) for name, column in groups.items()}}
        for name, length in lengths.items():
            if length != n:
                raise InputError(f"{name}: {length} values for {n} of truth; give one an image")
        if n == 0:
            raise InputError("the table has no rows")
        if threshold is not None:
            if not 0 < threshold < 1 or predicted.min() < 0 or predicted.max() > 1:
                raise InputError(f"threshold {threshold:g}: give a number between 0 and 1, and probabilities")
            predicted = (predicted >= threshold).astype(np.float64)
        for values, name in ((true, "truth"), (predicted, "prediction")):
            if not np.isin(values, (0, 1)).all():
                hint = "; pass threshold= for probabilities" if name == "prediction" else ""
                raise InputError(f"{name}: values other than 0 and 1{hint}")
        rows = tuple({name: str(column[at]) for name, column in groups.items()} for at in range(n))
        own = codes(None if patients is None else [str(one) for one in patients], n, "patients")
        notes = ("no patients are named: intervals take images as independent",) if patients is None else ()
        return cls(true > 0, predicted > 0, rows, own, notes)

    @classmethod
    def read(
        cls,
        path: str | Path,
        *,
        truth: str = "y_true",
        prediction: str = "y_prob",
        patient: str | None = "patient_id",
        threshold: float | None = 0.5,
    ) -> ClassifierTable:
        """A table in a CSV file, of which all columns may be grouped by.

        Args:
            path: The file, a row an image.
            truth: Column of 0 and 1.
            prediction: Column of probabilities, or of 0 and 1 with threshold None.
            patient: Column of patients, or None.
            threshold: From this probability on the prediction is 1.

        Raises:
            InputError: The file cannot be read, lacks a column, or holds other values.
        """
        rows = read_table(Path(path))
        listed = {name: cells(rows, name) for name in (truth, prediction, patient) if name is not None}
        try:
            table = cls.of(
                [_cell(cell) for cell in listed[truth]], [_cell(cell) for cell in listed[prediction]],
                {name: [row[name] for row in rows] for name in rows[0]},
                patients=None if patient is None else listed[patient], threshold=threshold,
            )  # fmt: skip
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return table

    def __len__(self) -> int:
        return len(self.truth)

    def groups(self, *columns: str) -> dict[tuple[str, ...], list[int]]:
        """Group → its rows; see `fairness.group_rows`."""
        return group_rows(self.rows, *columns)


def _numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: not numbers; give 0 and 1") from error
    if array.ndim != 1 or not np.isfinite(array).all():
        raise InputError(f"{name}: give one finite number an image, got an array of shape {array.shape}")
    return array


def _cell(cell: str) -> float:
    text = cell.strip().lower()
    try:
        return _BOOLEANS[text] if text in _BOOLEANS else float(text)
    except ValueError as error:
        raise InputError(f"{cell!r} is no number") from error
