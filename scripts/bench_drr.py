"""How fast and how exact our projector is beside other CPU projectors and beside this machine's floor.

One CT, or an analytic volume of the same shape; two views, frontal and oblique (35° about z, then 20° about x), of
512 × 512 pixels of 0.8 mm; source to detector 1800 mm, to the isocentre 1500 mm. Every projector runs in a process of
its own on two cores with two threads, which waits for a quiet machine and tells how busy others kept it.

Measured: wall time of one view with the volume already in the projector's own form (plastimatch: by its own clock,
without files), best and median of several runs; CPU time; peak memory of the process, its volume and libraries
included; relative L2 error against exact float64 line integrals of the projector's own voxel model, box (Siddon) or
trilinear. The floor is the time to read the volume once plus that of the column pass's multiply-adds at their peak.

    python scripts/bench_drr.py --peers none
    python scripts/bench_drr.py --peers plastimatch-exact,rtk -o docs/benchmarks.md

Peers that are not installed are named and left out. An environment of their own has them all beside ours: torch
alone and first; then itk-rtk, itk-twoprojectionregistration, torchio, jaxtyping, roma, einops, fastcore, tqdm,
huggingface-hub and safetensors; then diffdrr, nanodrr and timm without their dependencies; plastimatch from Debian;
LEAP (leapct) from its source. Exit code 1: a projector failed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench_drr_peers.cuda import CUDA
from bench_drr_peers.measure import THREADS
from bench_drr_peers.ours import OURS
from bench_drr_peers.peers import PEERS
from bench_drr_peers.scene import DEFAULT_CT, make_scene
from bench_drr_peers.tables import replace_section, report

HERE = Path(__file__).resolve().parent
ANALYTIC = Path("analytic")
LONGEST_S = 300
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "SYNTH_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)  # fmt: skip


def main() -> None:
    options = parse_arguments()
    tasks, missing = choose(options.peers, cuda=options.cuda)
    with tempfile.TemporaryDirectory(prefix="bench_drr_") as folder:
        scene = make_scene(Path(folder), None if options.ct == ANALYTIC else options.ct)
        results = {task: run_task(task, Path(folder), options.repeat) for task in tasks}
    rows = [row for found in results.values() for row in found or []]
    absent = {"Not installed": missing, "Failed": [task for task, found in results.items() if found is None]}
    text = f"{introduction(scene.name, as_typed(options), tasks, absent)}\n\n{report(rows)}"
    print(text)
    if options.output:
        replace_section(options.output, "bench_drr", f"## Projector\n\n{text}")
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
    sys.exit(1 if absent["Failed"] else 0)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ct = DEFAULT_CT if DEFAULT_CT.exists() else ANALYTIC
    parser.add_argument(
        "--ct", type=Path, metavar="FILE", default=ct, help=f"a CT that SimpleITK reads, or '{ANALYTIC}'"
    )
    parser.add_argument("--peers", default="all", help=f"all, none, or names: {', '.join(PEERS)}")
    parser.add_argument(
        "--repeat", type=int, metavar="N", default=5, help="runs of a row (default 5; more of quick calls)"
    )
    parser.add_argument("--cuda", action="store_true", help="also 100 views a call on the GPU")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the section into")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every row, machine-readable")
    options = parser.parse_args()
    unknown = [name for name in options.peers.split(",") if name not in PEERS]
    if unknown and options.peers not in ("all", "none"):
        parser.error(f"--peers: {unknown[0]!r} is no peer; give all, none, or some of {', '.join(PEERS)}")
    return options


def choose(peers: str, *, cuda: bool) -> tuple[list[str], list[str]]:
    """Tasks to run, and peers that were asked for but are not installed."""
    asked = {"all": list(PEERS), "none": []}.get(peers, peers.split(","))
    missing = [name for name in asked if PEERS[name].version() is None]
    chosen = [name for name in asked if name not in missing]
    on_gpu = list(CUDA) if cuda and gpu() else []
    if cuda and not on_gpu:
        print("no GPU: no CUDA section", file=sys.stderr)
    return ["floor", "preparation", "labels", *OURS, *chosen, *on_gpu], missing


def run_task(task: str, folder: Path, repeat: int) -> list[dict[str, Any]] | None:
    """Rows of one task, run in a process of its own; None, and a line on stderr, where it fails."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "bench_drr_peers.worker", task, str(folder), str(repeat)]
    paths = [str(HERE), str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "OMP_WAIT_POLICY": "passive"}
    environment |= dict.fromkeys(THREAD_VARIABLES, str(THREADS))
    try:
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=LONGEST_S
        )
    except subprocess.TimeoutExpired:
        print(f"{task}: stopped after {LONGEST_S} s", file=sys.stderr)
        return None
    if done.returncode:
        print(f"{task}: failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}", file=sys.stderr)
        return None
    print(f"{task}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return json.loads((folder / f"{task}.json").read_text())


def as_typed(options: argparse.Namespace) -> str:
    """The options that make the figures, without where files lie."""
    ct = [] if options.ct == DEFAULT_CT else ["--ct", options.ct.name]
    cuda = ["--cuda"] if options.cuda else []
    return " ".join([*ct, "--peers", options.peers, "--repeat", str(options.repeat), *cuda])


def introduction(scene: str, arguments: str, tasks: list[str], absent: dict[str, list[str]]) -> str:
    """Where and how the figures below were made."""
    peers = [f"{PEERS[task].label.split(',')[0]} {PEERS[task].version()}".rstrip() for task in tasks if task in PEERS]
    lines = [
        f"{machine()}. {THREADS} threads. Volume: {scene}.",
        f"Peers: {', '.join(peers) or 'none'}."
        + "".join(f" {why}: {', '.join(who)}." for why, who in absent.items() if who),
        f"Command: `python scripts/bench_drr.py {arguments}`",
    ]
    return "\n\n".join(lines)


def machine() -> str:
    """Processor, cores, graphics card and versions, in a line."""
    cpuinfo = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.*)", cpuinfo.read_text()) if cpuinfo.exists() else None
    cpu = named[1] if named else platform.processor()
    versions = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in ("numpy", "numba"))]
    return ", ".join(filter(None, [cpu, f"{os.cpu_count()} cores", gpu(), *versions]))


def gpu() -> str:
    """The graphics card's name; empty without one."""
    try:
        command = ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


if __name__ == "__main__":
    main()
