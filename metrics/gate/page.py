"""A gate's answer as one HTML page."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from synth.metrics.pages.page import bullets, html_page, html_table, score_parts
from synth.metrics.pages.text_table import number

if TYPE_CHECKING:
    from synth.metrics.gate.result import GateResult

__all__ = ["gate_page"]

_MOST = 500  # images listed; rejected.csv has all


def gate_page(result: GateResult) -> str:
    """The page: answer, what was asked of the set, rejected images, the scores."""
    tone, word = ("pass", "Accepted") if result.accepted else ("fail", "Rejected")
    counts = f"{len(result.accepted_images)} of {len(result.images)} images accepted"
    parts = [
        f'<p><strong class="{tone}">{word}</strong>: {escape(result.generated)}, judged by the real set '
        f"{escape(result.reference)}; {counts}.</p>",
        bullets([] if result.card is not None else list(result.warnings)),
        "<h2>Asked of the set</h2>",
        html_table(
            ("what", "value", "threshold", "verdict", "why"),
            [(one.name, number(one.value), one.threshold, one.outcome, one.reason) for one in result.scores],
            numeric=(1,),
            tones=(3,),
        ),
        "<h2>Asked of images</h2>",
        html_table(("check", "judged", "failed", "undecided"), _counts(result), numeric=(1, 2, 3)),
    ]
    refused = list(result.rejected_images.items())
    if refused:
        lines = [(name, "; ".join(one.reason for one in why)) for name, why in refused[:_MOST]]
        more = f" (the first {_MOST})" if len(refused) > _MOST else ""
        parts += [f"<h2>Rejected images{more}</h2>", html_table(("image", "why"), lines)]
    if result.card is not None:
        parts += [f"<h2>The {result.card.n_generated} accepted images as a set</h2>", *score_parts(result.card)]
    return html_page(f"Gate: {result.generated}", parts)


def _counts(result: GateResult) -> list[tuple[str, str, str, str]]:
    failed, left = result.count("fail"), result.count("undecided")
    return [(name, str(judged), str(failed[name]), str(left[name])) for name, judged in result.checks.items()]
