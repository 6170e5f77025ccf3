"""The rows of a run as Markdown, and the section of a file that belongs to this benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

Rows = list[dict[str, Any]]
OURS = "ours-slices-uint16"
"""The task that others are compared with: CT as it is stored, by the default method."""


def report(rows: Rows) -> str:
    """All tables that there are rows for."""
    parts = [
        ("CPU", cpu_table(rows)),
        ("Floor", floor_table(rows)),
        ("Labels", label_table(rows)),
        ("CUDA", cuda_table(rows)),
    ]
    return "\n".join(f"### {title}\n\n{text}" for title, text in parts if text)


def cpu_table(rows: Rows) -> str:
    """Every projector and view, the fastest first, and what a new volume costs."""
    ours = {row["view"]: row["best_ms"] for row in rows if row["task"] == OURS}
    found = [row for row in rows if row["section"] == "cpu"]
    found.sort(key=lambda row: (row["view"], row["best_ms"]))
    found += [row for row in rows if row["section"] == "preparation"]
    head = [
        "projector",
        "view",
        "voxel model",
        "best ms",
        "median ms",
        "CPU ms",
        "peak MB",
        "rel. L2 error",
        "runs",
        "others",
        "× ours",
    ]
    return table(head, [[*_cells(row), _ratio(row["best_ms"], ours.get(row.get("view", "")))] for row in found])


def _cells(row: dict[str, Any]) -> list[str]:
    times = [number(row[key]) for key in ("best_ms", "median_ms", "cpu_ms", "peak_mb")]
    error = f"{row['error']:.0e}" if "error" in row else "–"
    return [
        row["label"],
        row.get("view", "–"),
        row.get("model", "–"),
        *times,
        error,
        str(row["runs"]),
        f"{row['others']:.0%}",
    ]


def floor_table(rows: Rows) -> str:
    """The floor's parts, and how far above their sum we are."""
    parts = [row for row in rows if row["section"] == "floor"]
    read = {row["dtype"]: row["best_ms"] for row in parts if "dtype" in row}
    columns = {row["view"]: row["best_ms"] for row in parts if "view" in row}
    cells = [[row["label"], number(row["best_ms"]), row["rate"], f"{row['others']:.0%}"] for row in parts]
    text, lines = table(["part", "ms", "rate", "others"], cells), []
    for row in (row for row in rows if row.get("dtype") in read and "view" in row):
        floor = read[row["dtype"]] + columns[row["view"]]
        lines.append([row["label"], row["view"], number(floor), number(row["best_ms"]), _ratio(row["best_ms"], floor)])
    if not lines:
        return text
    note = (
        "Floor: one read and one column pass. Reads are repeated, as the projector's runs are: caches help both alike."
    )
    return f"{text}\n{note}\n\n{table(['projector', 'view', 'floor ms', 'best ms', '× floor'], lines)}"


def label_table(rows: Rows) -> str:
    """All labels in one pass beside one channel projected exactly, ray by ray."""
    one = {row["view"]: row["best_ms"] for row in rows if row["task"] == "ours-rays-box"}
    lines = [
        [
            row["label"],
            row["view"],
            number(row["best_ms"]),
            number(one.get(row["view"])),
            _ratio(row["best_ms"], one.get(row["view"])),
        ]
        for row in rows
        if row["section"] == "labels"
    ]
    return table(["projector", "view", "best ms", "one channel, rays, box, ms", "ratio"], lines)


def cuda_table(rows: Rows) -> str:
    """A hundred views a call."""
    found = [row for row in rows if row["section"] == "cuda"]
    ours = next((row["best_ms"] for row in found if row["task"] == "cuda-ours-uint16"), None)
    lines = [
        [
            row["label"],
            number(row["best_ms"]),
            number(row["median_ms"]),
            f"{row['error']:.0e}",
            _ratio(row["best_ms"], ours),
        ]
        for row in found
    ]
    return table(["projector", "best ms a view", "median ms a view", "rel. L2 error", "× ours"], lines)


def table(head: list[str], lines: list[list[str]]) -> str:
    """A Markdown table with aligned columns; empty where there are no lines."""
    if not lines:
        return ""
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    rule = ["-" * width for width in widths]
    return "".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |\n"
        for line in (head, rule, *lines)
    )


def number(value: float | None) -> str:
    """Three significant digits, no exponent."""
    if value is None:
        return "–"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: float, one: float | None) -> str:
    return number(value / one) if one else "–"


def replace_section(path: Path, name: str, text: str) -> None:
    """Puts `text` between the markers of `name` in a Markdown file; makes the file or the markers where missing."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = path.read_text() if path.exists() else "# Benchmarks\n"
    if start not in old:
        old = f"{old.rstrip()}\n\n{start}\n{end}\n"
    before, rest = old.split(start, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{before}{start}\n{text.strip()}\n{end}{rest.split(end, 1)[1]}")
