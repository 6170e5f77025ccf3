"""report.html: a dataset to look at, as one page that loads nothing.

Pictures of its images with the outlines of their masks, by subgroup; how the samples spread, before and after where a
plan was followed; what the gate accepted and why it refused the rest; scores with intervals; what made it all. Of large
datasets a sample is shown: the page stays below 8 MB, and no table is ever held in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from synth.core.files import write_bytes
from synth.metrics.pages.page import html_page
from synth.report.contents import open_contents
from synth.report.groups import survey
from synth.report.items import items_of
from synth.report.judgement import gate_part
from synth.report.provenance import head_part, provenance_part
from synth.report.scores import scores_part
from synth.report.sheet import script_part, sheet_part
from synth.report.spread import plan_part, spread_part
from synth.report.style import STYLE

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["dataset_page", "write_page"]


def dataset_page(root: Path, *, scores: Path | None = None) -> str:
    """The page of a dataset; the same dataset gives the same page.

    Args:
        root: Its folder: dataset.json and metadata.csv, and of the rest what there is.
        scores: What `synth gate` or `synth score` wrote as JSON, instead of the folder's gate.json.

    Raises:
        InputError: It is no dataset, or a file in it is missing or damaged.
    """
    contents = open_contents(root, scores)
    counted = survey(contents.rows())
    items = items_of(contents, counted)
    parts = [
        head_part(contents, counted),
        sheet_part(items, counted),
        spread_part(counted),
        plan_part(contents),
        gate_part(contents, items),
        scores_part(contents),
        provenance_part(contents, counted),
        script_part(items),
    ]
    return html_page("Synthetic dataset", parts, style=STYLE)


def write_page(root: Path, output: Path | None = None, *, scores: Path | None = None) -> Path:
    """Writes `dataset_page`, whole or not at all.

    Args:
        root: The dataset's folder.
        output: Where to; default: report.html in the folder.
        scores: See `dataset_page`.

    Returns:
        The page's path.

    Raises:
        InputError: As `dataset_page`, or the page cannot be written.
    """
    path = root / "report.html" if output is None else output
    write_bytes(path, dataset_page(root, scores=scores).encode())
    return path
