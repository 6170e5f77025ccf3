"""The scores of the set, as its gate or `synth score` found them."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.metrics.pages.page import bullets, html_table, score_parts
from synth.metrics.pages.text_table import number
from synth.metrics.score_value import Score
from synth.metrics.scoring.card import Row, Scorecard
from synth.metrics.scoring.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synth.report.contents import Contents

__all__ = ["card_of", "scores_part"]

_NUMBERS = ("value", "low", "high", "floor", "p_value")


def scores_part(contents: Contents) -> str:
    """The section; empty where nothing was scored.

    Raises:
        InputError: The file of scores is not as this toolkit writes it.
    """
    said = contents.scores
    if said is None:
        return ""
    try:
        asked = [
            (str(one["name"]), number(one["value"]), str(one["threshold"]), str(one["outcome"]), str(one["reason"]))
            for one in said["scores"]
            if "outcome" in one
        ]
        scorecard = said.get("scorecard") if "accepted" in said else said
        card = None if scorecard is None else card_of(scorecard)
        warnings = [] if card is not None else [str(line) for line in said.get("warnings", ())]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{contents.root}: its scores are not as synth gate writes them ({error!r})") from error
    return "\n".join([_asked(asked), bullets(warnings), *([] if card is None else [_sides(card), *score_parts(card)])])


def card_of(said: Mapping[str, Any]) -> Scorecard:
    """The scorecard that `Scorecard.as_dict` gave; its plot of features is not among that.

    Raises:
        KeyError, TypeError, ValueError: It is no such thing.
    """
    rows = tuple(_row(one) for one in said["scores"])
    own = {line for row in rows if row.score and not row.column for line in row.score.warnings}
    warnings = tuple(line for line in said["warnings"] if not any(line.endswith(f": {one}") for one in own))
    shares = tuple((str(one["part"]), float(one["share"])) for one in said.get("frd_explanation", ()))
    sides = (str(said["reference"]), str(said["generated"]), int(said["n_reference"]), int(said["n_generated"]))
    return Scorecard(*sides, rows, warnings, dict(said["settings"]), {}, shares)


def _row(said: Mapping[str, Any]) -> Row:
    if said["metric"] not in METRICS:
        raise ValueError(f"no score {said['metric']!r}")
    counts = int(said["n_reference"]), int(said["n_generated"])
    score = None
    if "value" in said:
        value, low, high, floor, p = (None if said[name] is None else float(said[name]) for name in _NUMBERS)
        # JSON has no infinity: what was not finite reads as None.
        value = float("nan") if value is None else value
        score = Score(value, low, high, floor, p, *counts, tuple(said.get("warnings", ())))
    metric, group, column, features = (str(said[key]) for key in ("metric", "group", "column", "features"))
    return Row(metric, group, column, features, *counts, score, "" if score else str(said["says"]))


def _asked(lines: Sequence[Sequence[str]]) -> str:
    if not lines:
        return ""
    heads = ("what", "value", "threshold", "verdict", "why")
    return "<h2>Asked of the set</h2>" + html_table(heads, lines, numeric=(1,), tones=(3,))


def _sides(card: Scorecard) -> str:
    return (
        f'<p class="soft">{card.n_generated:,} images of {escape(card.generated)}, judged by the '
        f"{card.n_reference:,} of {escape(card.reference)}.</p>"
    )
