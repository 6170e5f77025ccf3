"""The scores of one image set against another: for the terminal, as JSON, as a page."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.metrics.pages.text_table import number, text_table
from synth.metrics.readers.agreement import HEADS, agreement_rows
from synth.metrics.scoring.meaning import meaning
from synth.metrics.scoring.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from synth.metrics.alignment.conditions import Agreement
    from synth.metrics.score_value import Score

__all__ = ["ALL", "Row", "Scorecard", "plain"]

ALL = "all"
"""The group of all images."""

_ARROWS = {"lower": "↓", "higher": "↑", "alike": "="}


@dataclass(frozen=True)
class Row:
    """One metric of one group.

    Attributes:
        metric: A name of `METRICS`.
        group: "all", or a subgroup such as "F".
        column: Which column the group is of; empty for all.
        features: The extractor, or what else it was computed on.
        n_reference: Reference images in the group.
        n_generated: Generated images in the group.
        score: None where there is none.
        reason: Why there is none.
    """

    metric: str
    group: str
    column: str
    features: str
    n_reference: int
    n_generated: int
    score: Score | None
    reason: str = ""

    @property
    def says(self) -> str:
        """What it means, or why there is no score."""
        return self.reason if self.score is None else meaning(self.metric, self.score)

    def as_dict(self) -> dict[str, Any]:
        """Plain values; the score's beside the row's."""
        told = {"metric": self.metric, "column": self.column, "group": self.group, "features": self.features}
        counts = {"n_reference": self.n_reference, "n_generated": self.n_generated}
        values = {} if self.score is None else self.score.as_dict()
        return {**told, **values, **counts, "better": METRICS[self.metric].better, "says": self.says}


@dataclass(frozen=True)
class Scorecard:
    """All scores of a generated set against a reference.

    Attributes:
        reference: Name of the real set, that the other is judged by.
        generated: Name of the judged set.
        n_reference: Images in it.
        n_generated: Images in it.
        rows: The scores; those of all images first.
        warnings: What a reader must know before believing them.
        settings: What they were computed with.
        scatter: Points for the page's plot, "reference" and "generated" → (x, y) pairs.
        explanation: Ranked parts of the FRD, (name, part of the whole) pairs.
        conditions: How often a reader finds in the generated images what their table says.
    """

    reference: str
    generated: str
    n_reference: int
    n_generated: int
    rows: tuple[Row, ...]
    warnings: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    scatter: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict, repr=False)
    explanation: tuple[tuple[str, float], ...] = field(default=(), repr=False)
    conditions: tuple[Agreement, ...] = ()

    def __getitem__(self, metric: str) -> Score:
        """The score of all images.

        Raises:
            InputError: It was not asked for, or could not be computed.
        """
        row = next((row for row in self.rows if row.metric == metric and row.group == ALL and not row.column), None)
        if row is None:
            raise InputError(f"no score {metric!r}; there are {', '.join(self)}")
        if row.score is None:
            raise InputError(f"{metric}: {row.reason}")
        return row.score

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(row.metric for row in self.rows))

    def __contains__(self, metric: object) -> bool:
        return any(row.metric == metric for row in self.rows)

    def groups(self, column: str) -> dict[str, dict[str, Score]]:
        """Group → metric → score, of one column of the table."""
        found: dict[str, dict[str, Score]] = {}
        for row in self.rows:
            if row.column == column:
                scores = found.setdefault(row.group, {})
                if row.score is not None:
                    scores[row.metric] = row.score
        return found

    @property
    def all_warnings(self) -> tuple[str, ...]:
        """The warnings, and those of the scores of all images, each said once."""
        lines: dict[str, list[str]] = {}
        for row in self.rows:
            for line in () if row.score is None or row.column else row.score.warnings:
                if line not in self.warnings:
                    lines.setdefault(line, []).append(row.metric)
        return (*self.warnings, *(f"{', '.join(metrics)}: {line}" for line, metrics in lines.items()))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what is not a finite number is None."""
        sides = {"reference": self.reference, "generated": self.generated}
        counts = {"n_reference": self.n_reference, "n_generated": self.n_generated}
        scores = [row.as_dict() for row in self.rows]
        told = {"warnings": list(self.all_warnings), "settings": dict(self.settings)}
        parts = {"frd_explanation": [{"part": name, "share": share} for name, share in self.explanation]}
        if self.conditions:
            parts["conditions"] = [one.as_dict() for one in self.conditions]
        result: dict[str, Any] = plain({**sides, **counts, "scores": scores, **told, **parts})
        return result

    def to_json(self) -> str:
        """The scorecard as JSON."""
        return json.dumps(self.as_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_html(self) -> str:
        """The scorecard as one self-contained page with plots."""
        from synth.metrics.pages.page import score_page

        return score_page(self)

    def table(self) -> str:
        """The scorecard as text, with a sentence for each score of all images."""
        blocks = [
            f"reference  {self.reference}, {self.n_reference} images: the real set that the other is judged by\n"
            f"generated  {self.generated}, {self.n_generated} images"
        ]
        for column in dict.fromkeys(row.column for row in self.rows):
            rows = [row for row in self.rows if row.column == column]
            heads: tuple[str, ...] = ("score", "on", "value", "95 % interval", "floor", "p", "images")
            lines = [_cells(row) for row in rows]
            if column:
                heads, lines = (column, *heads), [(row.group, *line) for row, line in zip(rows, lines, strict=True)]
            blocks.append(text_table(heads, lines))
        whole = [row for row in self.rows if not row.column]
        width = max(len(row.metric) for row in whole)
        blocks.append("\n".join(f"{row.metric:{width}}  {row.says}" for row in whole))
        missing = [
            f"{row.column} {row.group}, {row.metric}: {row.reason}" for row in self.rows if row.column and row.reason
        ]
        blocks += ["\n".join(missing)] if missing else []
        blocks += [text_table(HEADS, agreement_rows(self.conditions))] if self.conditions else []
        return "\n\n".join(blocks) + "\n\n↓ lower is better, ↑ higher, = like the floor; floor: real against real\n"

    def __str__(self) -> str:
        return self.table()


def plain(value: Any) -> Any:
    """JSON's values: tuples as lists, and None for numbers that are not finite."""
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _cells(row: Row) -> tuple[str, ...]:
    named = f"{row.metric} {_ARROWS[METRICS[row.metric].better]}"
    score, counts = row.score, f"{row.n_reference} / {row.n_generated}"
    if score is None:
        return named, row.features, "—", "—", "—", "—", counts
    ends = "—" if score.low is None or score.high is None else f"{number(score.low)} to {number(score.high)}"
    p = "—" if score.p_value is None else f"{score.p_value:.2g}"
    return named, row.features, number(score.value), ends, number(score.floor), p, counts
