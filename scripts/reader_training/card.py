"""What the reader is and how well it reads, as its card and as reader.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from bench_drr_peers.tables import table

from reader_training.calibration import LEAST_AREA, LEAST_BODIES
from reader_training.films import FRONTAL
from synth.metrics.readers.phantoms import FORMAT, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reader_training.calibration import Measured
    from synth.metrics.readers.scores import Layout

__all__ = ["card", "facts"]

_LEAST = (0.2, 0.1, 0.05, 0.02)
_HEAD = """---
license: apache-2.0
tags: [radiology, chest-x-ray, synthetic]
---

# A reader of frontal chest radiographs

Tells sex, age group, findings and their sides, where it can, so that a gate can hold radiographs against their records.
Taught on radiographs of anatomical phantoms alone: no patient's image was used. Not for clinical use. What it reads in
real radiographs is not measured. Licence: Apache-2.0.
"""


def facts(size: int, layout: Layout, found: Sequence[Measured]) -> str:
    """Content of reader.json."""
    told = {
        one.name: {
            "values": one.values,
            "scale": round(one.scale, 6),
            "offsets": [round(offset, 6) for offset in one.offsets],
            "area": round(one.area or 0.0, 4),
        }
        for one in found
        if one.told
    }
    left_out = {one.name: None if one.area is None else round(one.area, 4) for one in found if not one.told}
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "name": "phantoms",
        "size": size,
        "views": FRONTAL,
        "signs": layout.signs,
        "age_groups": layout.ages,
        "attributes": told,
        "left_out": left_out,
    }
    return json.dumps(content, indent=1) + "\n"


def card(found: Sequence[Measured], counts: str, command: str) -> str:
    """The card.

    Args:
        found: All attributes.
        counts: What was trained and judged on, in words.
        command: What makes it again.
    """
    told = [one for one in found if one.told]
    parts = [_HEAD, f"Command: `{command}`\n", counts, "## What it tells\n", _told(told), _any(told)]
    return "\n".join([*parts, "## What it leaves out\n", _left_out([one for one in found if not one.told])])


def _told(found: Sequence[Measured]) -> str:
    rows = []
    for one in found:
        right, wrong = one.rates(_LEAST[0])
        shares = [f"{right:.1%}", f"{wrong:.0%}"]
        rows.append([one.name, ", ".join(one.values), str(len(one.asked)), str(one.bodies), f"{one.area:.3f}", *shares])
    head = ["attribute", "values", "images", "bodies", "area under the curve", "right refused", "wrong refused"]
    return (
        "On bodies that were not trained on; probabilities were calibrated on the same ones. Refused: of right and of "
        f"wrong statements, the share below a probability of {_LEAST[0]:g}.\n\n{table(head, rows)}"
    )


def _any(found: Sequence[Measured]) -> str:
    """How many images with right records would be refused for any attribute, by threshold."""
    films = 1 + max((int(one.asked.max()) for one in found), default=0)
    rows = []
    for least in _LEAST:
        refused = np.zeros(films, np.bool_)
        for one in found:
            refused[one.asked] |= one.refused(least)[np.arange(len(one.asked)), one.stated]
        rows.append([f"{least:g}", f"{refused.mean():.1%}"])
    return f"Images whose record is right, refused for any attribute:\n\n{table(['condition', 'refused'], rows)}"


def _left_out(found: Sequence[Measured]) -> str:
    rows = [[one.name, str(one.bodies), "—" if one.area is None else f"{one.area:.3f}"] for one in found]
    said = f"An area below {LEAST_AREA:g}, or fewer than {LEAST_BODIES} bodies of two values (—).\n"
    return f"{said}\n{table(['attribute', 'bodies', 'area under the curve'], rows)}"
