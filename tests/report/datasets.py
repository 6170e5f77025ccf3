"""Small datasets as they lie on disk, with a gate, a plan and what was refused."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.files import write_bytes
from synth.core.record import Mask
from synth.dataset import manifest
from synth.dataset.writers.coco import encode_masks, write_annotations
from synth.dataset.writers.png import write_png

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

EVIL = '</script><script>"&'
SIDE = 96
FINDINGS = ("Edema", "Pneumothorax", "Cardiomegaly")


def row_of(index: int, file_name: str | None = None) -> dict[str, str]:
    """The row of a sample; sex, age, race, view and finding take turns."""
    finding = {"name": FINDINGS[index % 4], "laterality": "left", "size_cm": 2.5} if index % 4 < 3 else None
    return {
        "file_name": file_name or f"images/{index // 10_000:02d}/{index:08d}.png",
        "view": ("PA", "LATERAL")[index % 2],
        "sex": ("F", "M")[index // 2 % 2],
        "age": str(25 + 10 * (index % 5)),
        "race": ("Asian", "Black", "")[index % 3],
        "findings": json.dumps([finding]) if finding else "",
        "report": f"FINDINGS: sample {index}. {EVIL}\n\nIMPRESSION: none.",
        "prompt": f"prompt {index}",
        "source": "phantom",
        "model_hash": "ab" * 32,
        "seed": str(index),
    }


def picture(index: int) -> tuple[NDArray[np.uint16], tuple[Mask, ...]]:
    """A chest of sorts: two dark ellipses, a bright one between them, and a wire."""
    v, u = np.mgrid[:SIDE, :SIDE] / SIDE
    left, right, heart = (((u - x) / a) ** 2 + ((v - y) / b) ** 2 < 1 for x, y, a, b in _ELLIPSES)
    wire = np.abs(u - 0.5 - 0.1 * np.sin(index + 9 * v)) < 0.6 / SIDE
    grey = 30_000 + 400 * (index % 16) - 18_000 * (left | right) + 16_000 * heart + 15_000 * wire
    noise = np.random.default_rng(index).normal(0, 700, (SIDE, SIDE))
    named = {"lung_left": left, "lung_right": right, "heart": heart, "object:tube": wire, "finding:edema": left & heart}
    return (grey + noise).clip(0, 65535).astype(np.uint16), tuple(Mask(name, mask) for name, mask in named.items())


_ELLIPSES = ((0.3, 0.5, 0.17, 0.35), (0.7, 0.5, 0.17, 0.35), (0.55, 0.62, 0.17, 0.17))


def write_table(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def write_manifest(root: Path, n: int, **extra: Any) -> None:
    job = manifest.job({"command": "dataset", "source": "phantoms", "seed": 7, "note": EVIL}, n, "png")
    write_bytes(root / "dataset.json", manifest.dump(manifest.finished(job, {"samples": n}, extra)))


def write_dataset(root: Path, n: int = 60) -> Path:
    """A dataset of radiographs with masks, without a gate."""
    images, annotations, names = [], [], set()
    for index in range(n):
        image, masks = picture(index)
        file_name = row_of(index)["file_name"]
        write_png(root / file_name, image)
        images.append({"id": index, "file_name": file_name, "width": SIDE, "height": SIDE})
        annotations += [(index, one) for one in encode_masks(masks, (SIDE, SIDE))]
        names |= {mask.name for mask in masks}
    write_annotations(root / "masks" / "annotations.json", images, names, annotations)
    write_table(root / "metadata.csv", [row_of(index) for index in range(n)])
    write_manifest(root, n)
    return root


def write_gated(root: Path, n: int = 60) -> Path:
    """The same after a gate, which refused some, with a plan."""
    write_dataset(root, n)
    passed = [verdict("outlier", "pass", "distance 1.2 is not above 3"), verdict("anatomy", "undecided", "no masks")]
    rows = [
        row_of(index)
        | {"case": str(index), "attempt": str(index % 2), "gate": ("pass", "undecided")[index % 5 == 0]}
        | {"verdicts": json.dumps(passed)}
        for index in range(n)
    ]
    write_table(root / "metadata.csv", rows)
    write_table(root / "rejected.csv", [refused(root, index, kept=index < 6) for index in range(10)])
    by_sex = {"F": counts(30, 29, 100), "M": counts(30, 30, 31)}
    gate = {"accepted": True, "answer": "accepted: fake may pass", **GATE, "by": {"sex": by_sex}}
    write_manifest(root, n, gate=gate, licence="CC0-1.0")
    write_bytes(root / "gate.json", json.dumps(gate_json()).encode())
    write_bytes(root / "plan.json", json.dumps(PLAN).encode())
    return root


GATE = {"cases": 60, "accepted_cases": 59, "attempts": 131}
PLAN = {
    "columns": ["sex"],
    "cells": [
        {"values": {"sex": "F"}, "before": 10, "made": 30, "after": 40},
        {"values": {"sex": "M"}, "before": 30, "made": 10, "after": 40},
    ],
}


def counts(cases: int, accepted: int, attempts: int) -> dict[str, int]:
    return {"cases": cases, "accepted": accepted, "attempts": attempts}


def verdict(name: str, outcome: str, reason: str) -> dict[str, Any]:
    return {"name": name, "value": 1.5, "threshold": 3.0, "outcome": outcome, "reason": reason}


def refused(root: Path, index: int, *, kept: bool) -> dict[str, str]:
    """A row of rejected.csv; the first check takes turns."""
    name = f"rejected/00/{index:08d}-0.png" if kept else ""
    if kept:
        write_png(root / name, picture(index + 100)[0])
    checks = ("outlier", "artefacts")[index % 2 :]
    failed = [verdict(check, "fail", f"{check} {index} is above 3 {EVIL}") for check in checks]
    told = {"checks": " | ".join(checks), "reasons": " | ".join(str(one["reason"]) for one in failed)}
    return (
        row_of(index)
        | {"file_name": name, "index": str(index), "case": str(index), "attempt": "0"}
        | told
        | {"verdicts": json.dumps(failed)}
    )


def gate_json() -> dict[str, Any]:
    """What a gate writes: thresholds, and the scores of the set."""
    from tests.metrics.pages.test_page import card

    asked = {"name": "fd", "value": 2.5, "threshold": "at most 3", "outcome": "pass", "accepted": True}
    sides = {"accepted": True, "reference": "real", "generated": "fake", "images": 60, "warnings": []}
    return {**sides, "scores": [asked | {"reason": "as asked"}], "scorecard": card().as_dict()}
