"""What the gate did to the samples: how many it took of every subgroup, and why it refused the others."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from scipy.special import ndtri

from synth.core.errors import InputError
from synth.metrics.pages.page import bullets, figure, html_table
from synth.metrics.pages.svg import Interval, interval_plot
from synth.metrics.uncertainty import share_interval
from synth.report.groups import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from synth.report.contents import Contents
    from synth.report.items import Item

__all__ = ["Ratio", "gate_part", "ratios", "skew_warnings"]

_EXAMPLES = 6  # of a check
_LEVEL = 0.05


class Ratio(NamedTuple):
    """How many attempts the gate took of a subgroup.

    Attributes:
        group: Its name.
        cases: Cases asked for.
        accepted: Cases that were filled.
        attempts: Attempts at them.
    """

    group: str
    cases: int
    accepted: int
    attempts: int

    @property
    def share(self) -> float:
        """Accepted attempts among all; at most one of a case is accepted."""
        return self.accepted / self.attempts

    def interval(self, level: float = _LEVEL) -> tuple[float, float]:
        """Wilson's interval of the share, at confidence 1 − level."""
        return share_interval(self.share, 0.0, self.attempts, float(-ndtri(level / 2)))


def gate_part(contents: Contents, items: Sequence[Item]) -> str:
    """The section; empty where there was no gate.

    Raises:
        InputError: What dataset.json says of the gate is not as this toolkit writes it.
    """
    said = contents.gate
    if said is None:
        return ""
    try:
        whole = Ratio("all", int(said["cases"]), int(said["accepted_cases"]), int(said["attempts"]))
        told = said.get("by", {})
        by = {column: ratios(told[column]) for column in COLUMNS if column in told}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        path = contents.root / "dataset.json"
        raise InputError(f"{path}: what it says of the gate is not as this toolkit writes it ({error!r})") from error
    if not whole.attempts:
        return ""
    low, high = whole.interval()
    counts = (
        f"<p>{whole.accepted:,} of {whole.cases:,} cases were filled, in {whole.attempts:,} attempts: "
        f"{whole.share:.1%} of the attempts were accepted (95 % interval {low:.1%} to {high:.1%}).</p>"
    )
    warnings = [line for column, groups in by.items() for line in skew_warnings(column, groups, whole)]
    fair = '<p class="soft">No subgroup is accepted more or less often than chance allows.</p>' if by else ""
    return "\n".join(
        [
            "<h2>What the gate accepted</h2>",
            counts,
            bullets(warnings) or fair,
            _plots(by, whole),
            _reasons(contents, items),
        ]
    )


def ratios(groups: Mapping[str, Mapping[str, Any]]) -> list[Ratio]:
    """The ratios of a column's groups; groups without an attempt are left out."""
    found = [
        Ratio(str(name), int(one["cases"]), int(one["accepted"]), int(one["attempts"])) for name, one in groups.items()
    ]
    return [one for one in found if one.attempts]


def skew_warnings(column: str, groups: Sequence[Ratio], whole: Ratio) -> list[str]:
    """A sentence for each group that the gate accepts more or less often than all others of its column.

    Such a group's interval, at 95 % for all groups of the column together (Bonferroni), leaves out the share of all.
    And, where places stayed empty, one for the groups that have fewer samples than were drawn of them at first.
    """
    lines = []
    for one in groups if len(groups) > 1 else ():
        low, high = one.interval(_LEVEL / len(groups))
        if not low <= whole.share <= high:
            how = "less" if high < whole.share else "more"
            lines.append(
                f"{COLUMNS.get(column, column)} {one.group}: accepted {how} often than the others, {one.share:.0%} of "
                f"{one.attempts:,} attempts ({low:.0%} to {high:.0%}); all: {whole.share:.0%}"
            )
    fewer = [f"{one.group} {one.accepted:,} of {one.cases:,}" for one in groups if one.accepted < one.cases]
    if whole.accepted < whole.cases and fewer:
        lines.append(f"{COLUMNS.get(column, column)}: cases that were filled: {', '.join(fewer)}")
    return lines


def _plots(by: Mapping[str, Sequence[Ratio]], whole: Ratio) -> str:
    figures = []
    for column, groups in by.items():
        if len(groups) < 2:
            continue
        rows = [_interval(one, whole) for one in groups]
        heading = COLUMNS.get(column, column).capitalize()
        caption = "accepted attempts, %, with 95 % intervals; ◇ all attempts"
        figures.append(figure(interval_plot(rows, f"accepted by {column}"), heading, caption))
    return f'<div class="plots">{"".join(figures)}</div>' if figures else ""


def _interval(one: Ratio, whole: Ratio) -> Interval:
    low, high = one.interval()
    return Interval(one.group, 100 * one.share, 100 * low, 100 * high, 100 * whole.share)


def _reasons(contents: Contents, items: Sequence[Item]) -> str:
    """What was refused, by check: how often, and examples in pictures or in words."""
    counts: Counter[str] = Counter()
    words: dict[str, list[str]] = {}
    attempts = 0
    for row in contents.rejected():
        attempts += 1
        checks, reasons = row["checks"].split(" | "), row.get("reasons", "").split(" | ")
        counts.update(dict.fromkeys(checks, 1))
        for check, reason in zip(checks, reasons, strict=False):
            said = words.setdefault(check, [])
            if len(said) < _EXAMPLES and reason not in said:
                said.append(reason)
    if not counts:
        return ""
    shares = [(check, f"{count:,}", f"{count / attempts:.0%}") for check, count in counts.most_common()]
    table = html_table(("refused by", "images", "share of the refused"), shares, numeric=(1, 2))
    told = "".join(_examples(check, words.get(check, []), items) for check, _ in counts.most_common())
    return f"<h2>Why it refused the others</h2>{table}{told}"


def _examples(check: str, reasons: Sequence[str], items: Sequence[Item]) -> str:
    shown = [item for item in items if check in item["checks"]][:_EXAMPLES]
    pictures = "".join(
        f'<button type="button" data-open="{escape(item["key"])}" aria-label="{escape(item["caption"])}">'
        f'<img alt="" src="data:image/jpeg;base64,{item["image"]}"></button>'
        for item in shown
    )
    lines = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
    return f'<h3 class="why">{escape(check)}</h3><div class="examples">{pictures}</div><ul>{lines}</ul>'
