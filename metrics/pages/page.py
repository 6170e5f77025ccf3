"""Scorecards and verdicts as one HTML page: no script, no font, no picture from anywhere else; light and dark."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from synth.metrics.pages.svg import Interval, bar_plot, interval_plot, scatter_plot
from synth.metrics.pages.text_table import number
from synth.metrics.readers.agreement import HEADS, agreement_rows
from synth.metrics.scoring.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from synth.metrics.scoring.card import Row, Scorecard

__all__ = ["bullets", "figure", "html_page", "html_table", "score_page", "score_parts"]

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5c6775; --line: #d9dee5; --paper: #fff; --tint: #f5f7f9;
  --one: #2a6fb0; --two: #d9662b; --good: #2c8a57; --bad: #c23b3b; --open: #b8860b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #9aa5b3; --line: #343c47; --paper: #14181e;
  --tint: #1c222a; --one: #6cb0ea; --two: #f0935f; --good: #5cc08b; --bad: #ee7b7b; --open: #e0b64f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 1000px;
  margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 36px 0 8px; }
h3 { font-size: 14px; margin: 0 0 4px; }
p { margin: 6px 0; } .soft, small { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; color: var(--soft); white-space: nowrap; } .number { text-align: right; white-space: nowrap; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); gap: 20px; }
figure { margin: 0; padding: 12px; background: var(--tint); border-radius: 8px; }
figcaption { font-size: 13px; color: var(--soft); }
svg { width: 100%; height: auto; display: block; } svg text { font-size: 12px; fill: var(--soft); }
.grid { stroke: var(--line); } .frame { fill: none; stroke: var(--line); }
.span { stroke: var(--one); stroke-width: 3; stroke-linecap: round; opacity: .5; } .point { fill: var(--one); }
.mark { fill: var(--paper); stroke: var(--soft); stroke-width: 1.5; } .bar { fill: var(--one); }
.series0 { fill: var(--one); } .series1 { fill: var(--two); } .series2 { fill: var(--soft); }
.cloud0 { fill: var(--one); fill-opacity: .55; } .cloud1 { fill: var(--two); fill-opacity: .55; }
.pass { fill: var(--good); stroke: var(--good); color: var(--good); }
.fail { fill: var(--bad); stroke: var(--bad); color: var(--bad); }
.undecided { fill: var(--open); stroke: var(--open); color: var(--open); }
td.pass, td.fail, td.undecided, strong.pass, strong.fail, strong.undecided { font-weight: 600; }
.key { display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin: 0 4px 0 12px; }
ul.warnings { padding: 10px 10px 10px 28px; background: var(--tint); border-left: 3px solid var(--open); }
"""


def score_page(card: Scorecard) -> str:
    """The page of a scorecard."""
    sides = (
        f"<p><b>{escape(card.generated)}</b> ({card.n_generated} images), judged by the real set "
        f"<b>{escape(card.reference)}</b> ({card.n_reference} images).</p>"
    )
    return html_page(f"Scores of {card.generated}", [sides, *score_parts(card)])


def score_parts(card: Scorecard) -> list[str]:
    """The sections of a scorecard: warnings, table, plots, subgroups, settings."""
    whole = [row for row in card.rows if not row.column]
    parts = [bullets(card.all_warnings)]
    parts.append("<h2>Scores</h2>" + _score_table(whole, ""))
    parts.append(
        '<p class="soft">Floor: what real against real scores at these sizes. p: how often sets drawn from one '
        "distribution differ as much.</p>"
    )
    parts.append(_plots(card))
    for column in dict.fromkeys(row.column for row in card.rows if row.column):
        rows = [row for row in card.rows if row.column == column]
        parts.append(f"<h2>By {escape(column)}</h2>" + _score_table(rows, column))
    if card.conditions:
        table = html_table(HEADS, agreement_rows(card.conditions), numeric=[2, 3, 4, 5])
        parts.append(f"<h2>Conditions</h2>{table}")
    told = "; ".join(f"{key} {_in_words(value)}" for key, value in card.settings.items() if value is not None)
    parts.append(f"<h2>Settings</h2><p><small>{escape(told)}</small></p>")
    return parts


def html_page(title: str, parts: Iterable[str], *, style: str = "") -> str:
    """A whole page around sections of HTML; browsers are told to load nothing for it.

    Args:
        title: Its heading.
        parts: The sections.
        style: CSS rules of its own.
    """
    head = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<title>{escape(title)}</title><style>{_STYLE}{style}</style></head>"
    )
    return (
        f"{head}\n<body>\n<h1>{escape(title)}</h1>\n" + "\n".join(part for part in parts if part) + "\n</body></html>\n"
    )


def html_table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = (), tones: Sequence[int] = ()
) -> str:
    """A table of plain text; `numeric` columns stand to the right, `tones` columns are coloured by their word."""

    def cell(index: int, content: str) -> str:
        kind = content if index in tones else "number" if index in numeric else ""
        return f'<td class="{escape(kind)}">{escape(content)}</td>' if kind else f"<td>{escape(content)}</td>"

    sides = [' class="number"' if index in numeric else "" for index in range(len(heads))]
    head = "".join(f"<th{side}>{escape(name)}</th>" for side, name in zip(sides, heads, strict=True))
    body = "".join(f"<tr>{''.join(cell(k, one) for k, one in enumerate(row))}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def bullets(lines: Sequence[str]) -> str:
    """Warnings as a list; nothing where there are none."""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f'<ul class="warnings">{items}</ul>' if items else ""


def _in_words(value: object) -> str:
    """A setting: lists with commas, tables as "key value" pairs."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_in_words(one)}" for key, one in value.items())
    return ", ".join(map(_in_words, value)) if isinstance(value, list | tuple) else str(value)


def _score_table(rows: Sequence[Row], column: str) -> str:
    heads = [*([column] if column else []), "score", "on", "value", "95 % interval", "floor", "p", "images", "says"]
    shift = len(heads) - 8
    lines = []
    for row in rows:
        score = row.score
        ends = p = value = floor = "—"
        if score is not None:
            value, floor = number(score.value), number(score.floor)
            p = "—" if score.p_value is None else f"{score.p_value:.2g}"
            if score.low is not None and score.high is not None:
                ends = f"{number(score.low)} to {number(score.high)}"
        group = [row.group] if column else []
        counts = f"{row.n_reference} / {row.n_generated}"
        lines.append([*group, row.metric, row.features, value, ends, floor, p, counts, row.says])
    return html_table(heads, lines, numeric=[shift + k for k in (2, 3, 4, 5, 6)])


def _plots(card: Scorecard) -> str:
    figures = []
    for metric in card:
        rows = [
            Interval(
                f"{row.column} {row.group}".strip(), row.score.value, row.score.low, row.score.high, row.score.floor
            )
            for row in card.rows
            if row.metric == metric and row.score is not None
        ]
        arrow = {"lower": "lower is better", "higher": "higher is better", "alike": "like the floor is best"}
        about = METRICS[metric].about
        figures.append(
            figure(interval_plot(rows, metric), metric, f"{about}; {arrow[METRICS[metric].better]}; ◇ floor")
        )
    keys = '<span class="key" style="background: var(--one)"></span>real'
    keys += '<span class="key" style="background: var(--two)"></span>generated'
    cloud = scatter_plot(card.scatter, "both sets on two principal components")
    figures.append(figure(cloud, "Features", "first two principal components of the reference's features", keys))
    shares = bar_plot([(name, 100 * share) for name, share in card.explanation], "parts of the FRD", unit=" %")
    figures.append(figure(shares, "What the FRD is made of", "share of the squared distance"))
    return f'<h2>Plots</h2><div class="plots">{"".join(figures)}</div>'


def figure(plot: str, title: str, caption: str, keys: str = "") -> str:
    """A plot with its heading and words; nothing where there is no plot. `keys` is HTML."""
    if not plot:
        return ""
    return f"<figure><h3>{escape(title)}</h3>{plot}<figcaption>{escape(caption)}{keys}</figcaption></figure>"
