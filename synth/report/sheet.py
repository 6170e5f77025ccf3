"""The contact sheet: pictures with outlines, filters by subgroup, paging, and a large view with the record."""

from __future__ import annotations

import json
from html import escape
from typing import TYPE_CHECKING, Any

from synth.report.groups import COLUMNS, NOTHING, UNKNOWN
from synth.report.items import REJECTED
from synth.report.script import PER_PAGE, SCRIPT
from synth.report.structures import GROUPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synth.report.groups import Survey
    from synth.report.items import Item

__all__ = ["script_part", "sheet_part"]

_VIEW = """<dialog id="view" aria-labelledby="view-title"><header><h2 id="view-title"></h2>
<button type="button" id="view-masks" aria-pressed="true">Masks</button>
<button type="button" id="view-previous" aria-label="previous image">←</button>
<button type="button" id="view-next" aria-label="next image">→</button>
<button type="button" id="view-close" autofocus>Close</button></header>
<div class="pane"><div id="view-picture"></div><div id="view-words"></div></div></dialog>"""


def sheet_part(items: Sequence[Item], survey: Survey) -> str:
    """The section; its script is `script_part`."""
    rejected = sum(item["groups"]["gate"] == [REJECTED] for item in items)
    shown = len(items) - rejected
    said = f"{shown:,} of {len(survey):,} shown" if shown < len(survey) else f"all {shown:,} shown"
    said += ", drawn so that every subgroup is seen" if shown < len(survey) else ""
    said += f"; {rejected:,} rejected ones under gate" if rejected else ""
    selects = "".join(
        f'<label>{escape(COLUMNS[column])}<select data-column="{column}"></select></label>' for column in _values(items)
    )
    reset = '<button type="button" id="reset">Clear</button>'
    pager = (
        '<div class="pager"><span id="status" role="status"></span>'
        '<button type="button" id="previous">← Back</button><span>Page <span id="pages"></span></span>'
        '<button type="button" id="next">Next →</button></div>'
    )
    return (
        f'<h2>Images</h2><p class="soft">{said[0].upper()}{said[1:]}. Choose one for its record; arrow keys move.</p>'
        "<noscript><p>The contact sheet needs JavaScript; the rest of this page does not.</p></noscript>"
        f'<div class="controls">{selects}{reset}</div>{_legend(items)}{pager}<div id="sheet"></div>{_VIEW}'
    )


def script_part(items: Sequence[Item]) -> str:
    """The script of the page, and what it reads."""
    used = _used(items)
    values = _values(items)
    content = {
        "per_page": PER_PAGE,
        "columns": list(values),
        "values": values,
        "groups": [
            {"key": group.key, "label": group.label, "colour": group.colour, "dash": group.dash} for group in GROUPS
        ],
        "shown": [group.key for number, group in enumerate(GROUPS) if group.shown and number in used],
        "items": [{key: value for key, value in item.items() if key != "checks"} for item in items],
    }
    # "<" as JSON's own escape: nothing in a report ends the script.
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="application/json" id="sheet-data">{text}</script><script>{SCRIPT}</script>'


def _values(items: Sequence[Item]) -> dict[str, list[str]]:
    """Column → groups to choose from, for columns that tell samples apart."""
    found = {}
    for column in COLUMNS:
        names = {name for item in items for name in item["groups"][column]}
        if len(names) > 1:
            found[column] = sorted(names, key=_order)
    return found


def _order(name: str) -> tuple[Any, ...]:
    """Ages by number, other groups by name; what is no group last."""
    low = name.partition("-")[0]
    return name in (UNKNOWN, NOTHING), int(low) if low.isdigit() else 0, name


def _used(items: Sequence[Item]) -> list[int]:
    return sorted({number for item in items for number, _, _ in item["outlines"]})


def _legend(items: Sequence[Item]) -> str:
    """A box to tick for each group of structures."""
    lines = []
    for number in _used(items):
        group = GROUPS[number]
        dash = f' stroke-dasharray="{group.dash}"' if group.dash else ""
        swatch = (
            f'<svg class="swatch" viewBox="0 0 26 12" aria-hidden="true">'
            f'<line x1="2" x2="24" y1="6" y2="6" stroke="{group.colour}"{dash}/></svg>'
        )
        lines.append(f'<label><input type="checkbox" data-group="{group.key}">{swatch}{escape(group.label)}</label>')
    if not lines:
        return ""
    return f'<fieldset class="controls layers"><legend>Masks</legend>{"".join(lines)}</fieldset>'
