"""python -m bench_drr_peers.worker TASK FOLDER REPEAT: one task of the benchmark in a process of its own.

Its rows are left in FOLDER/TASK.json. The process keeps to the first two cores that it may use.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_drr_peers.cuda import CUDA, cuda_rows
from bench_drr_peers.measure import THREADS, measure
from bench_drr_peers.ours import OURS, label_rows, preparation_rows
from bench_drr_peers.peers import PEERS
from bench_drr_peers.scene import VIEWS, Scene

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench_drr_peers.projector import Projector

Rows = list[dict[str, Any]]


def projector_rows(scene: Scene, repeat: int, projector: Projector) -> Rows:
    """A row a view."""
    fixed = {"section": "cpu", "label": projector.label, "model": projector.model, "dtype": projector.dtype}
    rows = []
    for view in VIEWS:
        row = measure(lambda view=view: projector.make(scene, view), repeat, projector.views_per_call)
        error = scene.error(row["image"], view, projector.model)
        rows.append({**fixed, "view": view.name, **row, "error": error})
    return rows


def _floor_rows(scene: Scene, repeat: int) -> Rows:
    from bench_drr_peers.floor import floor_rows

    return floor_rows(scene, repeat)


TASKS: dict[str, Callable[[Scene, int], Rows]] = {
    "floor": _floor_rows,
    "preparation": preparation_rows,
    "labels": label_rows,
    **{name: partial(projector_rows, projector=projector) for name, projector in (OURS | PEERS).items()},
    **{name: partial(cuda_rows, label=label, make=make) for name, (label, make) in CUDA.items()},
}


def main(task: str, folder: Path, repeat: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    rows = TASKS[task](Scene(folder), repeat)
    for row in rows:
        row.pop("image", None)
        row["task"] = task
    (folder / f"{task}.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
