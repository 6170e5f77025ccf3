"""How fast, exact and frugal the distances are, beside scipy's matrix square root in the same run.

Fréchet distance of 1000 + 1000 images with 2048 features (Inception's number; rectified mixtures with falling
variances), from the features and from stored statistics, beside `scipy.linalg.sqrtm(Σ₁Σ₂)` as FID implementations call
it, all with covariances where they need them. Error: against singular values of the centred ABᵀ, by LAPACK's SVD.
Precision, recall, density and coverage of 10,000 + 10,000 images with 2048 features. Each in a process of its own with
two threads; peak memory is the process's, features and libraries included.

    python scripts/bench_distances.py -o docs/benchmarks.md
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bench_drr_peers.tables import number, replace_section, table
from scipy import linalg

from synth.metrics.distances.frechet import frechet_distance
from synth.metrics.distances.gaussian import GaussianStatistics
from synth.metrics.distances.mmd import kid
from synth.metrics.distances.prdc import prdc

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Features = NDArray[np.float64]

D = 2048
FEW, MANY = 1000, 10_000
THREADS = "2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the section into")
    parser.add_argument("--task", choices=TASKS, help="run one task here and print its row as JSON")
    options = parser.parse_args()
    if options.task:
        print(json.dumps(row(options.task)))
        return
    rows = [run(task) for task in TASKS]
    text = f"{os.cpu_count()} cores, {THREADS} threads. Command: `python scripts/bench_distances.py`\n\n{report(rows)}"
    print(text)
    if options.output:
        replace_section(options.output, "bench_distances", f"## Distances\n\n{text}")


def run(task: str) -> dict[str, Any]:
    """The row of a task, from a process of its own."""
    threads = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), THREADS)
    command = [sys.executable, __file__, "--task", task]
    done = subprocess.run(command, env=os.environ | threads, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def row(task: str) -> dict[str, Any]:
    """Times one task: the best of three calls where a call is short."""
    label, n, prepare, call = TASKS[task]
    prepared = prepare(features(n, 1, 0.0), features(n, 2, 0.02))
    walls, cpus = [], []
    value: Any = None
    while not walls or (len(walls) < 3 and walls[0] < 2):
        wall, cpu = time.perf_counter(), time.process_time()
        value = call(*prepared)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"label": label, "n": n, "wall": min(walls), "cpu": min(cpus), "peak": peak, "value": value}


def features(n: int, seed: int, shift: float) -> Features:
    mixing = np.random.default_rng(0).standard_normal((D, D)) / np.sqrt(D) * np.exp(-np.arange(D) / 400)[:, None] * 5
    out: Features = np.random.default_rng([1, seed]).standard_normal((n, D)) @ mixing
    out += 0.2 + shift
    return np.maximum(out, 0, out=out)


def as_features(x: Features, y: Features) -> tuple[Any, ...]:
    return x, y


def as_statistics(x: Features, y: Features) -> tuple[Any, ...]:
    return GaussianStatistics.of(x), GaussianStatistics.of(y)


def by_sqrtm(x: Features, y: Features) -> float:
    first, second = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.asarray(linalg.sqrtm(first @ second)).real
    return float(np.sum((x.mean(0) - y.mean(0)) ** 2) + np.trace(first) + np.trace(second) - 2 * np.trace(root))


def by_svd(x: Features, y: Features) -> float:
    a, b = ((one - one.mean(0)) / np.sqrt(len(one) - 1) for one in (x, y))
    norm = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(np.sum((x.mean(0) - y.mean(0)) ** 2) + np.vdot(a, a) + np.vdot(b, b) - 2 * norm)


def report(rows: list[dict[str, Any]]) -> str:
    exact = next(one["value"] for one in rows if one["label"] == TASKS["svd"][0])
    sqrtm = next(one["wall"] for one in rows if one["label"] == TASKS["sqrtm"][0])
    lines = []
    for one in rows:
        frechet = isinstance(one["value"], float) and one["n"] == FEW and one["label"] != TASKS["kid"][0]
        error = f"{abs(one['value'] / exact - 1):.0e}" if frechet else "–"
        faster = f"{sqrtm / one['wall']:.0f}" if frechet else "–"
        lines.append([
            one["label"], str(one["n"]), number(one["wall"]), number(one["cpu"]), number(one["peak"]), error, faster,
        ])  # fmt: skip
    return table(["what", "images a set", "wall s", "CPU s", "peak MB", "relative error", "× sqrtm"], lines)


TASKS: dict[str, tuple[str, int, Any, Any]] = {
    "frechet": ("Fréchet distance from features", FEW, as_features, frechet_distance),
    "statistics": ("Fréchet distance from statistics", FEW, as_statistics, frechet_distance),
    "sqrtm": ("scipy.linalg.sqrtm", FEW, as_features, by_sqrtm),
    "svd": ("SVD of ABᵀ", FEW, as_features, by_svd),
    "kid": ("KID, all pairs", FEW, as_features, kid),
    "prdc": ("precision, recall, density, coverage", MANY, as_features, prdc),
}
"""Name: label, images a set, what to prepare untimed, what to time."""

if __name__ == "__main__":
    main()
