"""How fast radiomic features are beside a numpy prototype in the same run, and beside pyradiomics as recorded.

CPU time of one image in one thread, the best of several runs; the features are those of FRD's two versions. The images
and the prototype lie with the project's test data, and so do the times that frd-score 1.0.1 with pyradiomics took for
the same images on a machine of this kind, recorded with them. Then the wall time of a table of images on all threads.

    python scripts/bench_radiomics.py
    python scripts/bench_radiomics.py --repeat 20 -o docs/benchmarks.md

The prototype uses PyWavelets; where that is not installed our own transform stands in for it.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import SimpleITK
from bench_drr import machine
from bench_drr_peers.tables import number, replace_section, table
from PIL import Image

from synth.kernels.threads import thread_count
from synth.metrics.radiomics.extract import extract
from synth.metrics.radiomics.filters import stationary_wavelet
from synth.metrics.radiomics.settings import frd_settings
from synth.metrics.radiomics.table import feature_table

if TYPE_CHECKING:
    from collections.abc import Callable

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
FIXTURES = Path(__file__).resolve().parents[2] / "shared" / "peers" / "metrics"


class Case(NamedTuple):
    """Images of one kind, with masks or None for all of each, and how the prototype takes them."""

    label: str
    version: Any
    images: list[Any]
    masks: list[Any]
    spacing: Any
    recorded: float | None
    prototype: Callable[..., Any] | None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, metavar="N", default=10, help="runs of each image (default 10)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the section into")
    options = parser.parse_args()
    if not FIXTURES.is_dir():
        parser.error(f"the images and the prototype are not there: {FIXTURES}")
    cases = [*pictures(), *volumes()]
    lines = [line(case, options.repeat) for case in cases]
    head = ["image", "features", "ours, ms", "prototype, ms", "× ours", "pyradiomics, recorded, ms", "× ours"]
    text = f"{machine()}\n\n{table(head, lines)}\n{throughput(cases)}"
    print(text)
    if options.output:
        replace_section(options.output, "bench_radiomics", f"## Radiomics\n\n{text}")


def pictures() -> list[Case]:
    """The pictures of 128² and 256² pixels."""
    recorded = json.loads((FIXTURES / "timing_ms_per_image.json").read_text())
    module = prototype("radiomics2d")
    cases = []
    for size in (128, 256):
        files = sorted((FIXTURES / f"images{size}" / "A_img").iterdir())[:4]
        images = [np.asarray(Image.open(file)) for file in files]
        masks = [np.asarray(Image.open(file.parents[1] / "A_mask" / file.name)) for file in files]
        for version, suffix in (("v0", ""), ("v1", " (wavelet)")):
            for masked in ("nomask", "mask"):
                time_of = recorded[f"{size} {version} {masked}{suffix}"]
                label = f"{size} × {size}, {'mask' if masked == 'mask' else 'whole'}"
                inside = masks if masked == "mask" else [None] * len(images)
                cases.append(Case(label, version, images, inside, None, time_of, getattr(module, version)))
    return cases


def volumes() -> list[Case]:
    """The volumes of 24 × 48 × 44 voxels."""
    recorded = json.loads((FIXTURES / "timing_3d_s_per_volume.json").read_text())
    module = prototype("radiomics3d")
    files = sorted((FIXTURES / "volumes3d" / "A_img").iterdir())[:2]
    read = [SimpleITK.ReadImage(str(file)) for file in files]
    images, spacing = [SimpleITK.GetArrayFromImage(image) for image in read], read[0].GetSpacing()
    inner = [SimpleITK.ReadImage(str(file.parents[1] / "A_mask" / file.name)) for file in files]
    masks = [SimpleITK.GetArrayFromImage(mask) for mask in inner]
    cases = []
    for version in ("v0", "v1"):
        for masked in ("nomask", "mask"):
            seconds = recorded.get(f"pyradiomics {version} 3D 24x48x44 {masked}")
            label = f"24 × 48 × 44, {'mask' if masked == 'mask' else 'whole'}"
            inside = masks if masked == "mask" else [None] * len(images)
            of = getattr(module, version, None)
            call = (lambda image, mask, of=of: of(image, spacing[::-1], mask)) if of else None
            cases.append(Case(label, version, images, inside, spacing, seconds and 1e3 * seconds, call))
    return cases


def prototype(name: str) -> ModuleType:
    """A module of the prototype."""
    if "pywt" not in sys.modules and importlib.util.find_spec("pywt") is None:
        stand_in = ModuleType("pywt")
        stand_in.swtn = swtn  # type: ignore[attr-defined]
        sys.modules["pywt"] = stand_in
    sys.path.insert(0, str(FIXTURES / "prototype"))
    return importlib.import_module(name)


def swtn(image: Any, wavelet: str, level: int, axes: Any) -> list[dict[str, Any]]:
    """PyWavelets' function, as far as the prototype uses it."""
    assert (wavelet, level, tuple(axes)) == ("coif1", 1, tuple(range(image.ndim)[::-1]))
    return [{name.replace("L", "a").replace("H", "d"): band for name, band in stationary_wavelet(image).items()}]


def line(case: Case, repeat: int) -> list[str]:
    """A row of the table."""
    settings = frd_settings(case.version, case.images[0].ndim)
    ours = best(lambda image, mask: extract(image, mask, settings, case.spacing), case, repeat)
    theirs = best(case.prototype, case, max(1, repeat // 3)) if case.prototype else None
    peers = [cell for peer in (theirs, case.recorded) for cell in (number(peer), number(peer / ours if peer else None))]
    return [case.label, case.version, number(ours), *peers]


def best(of: Callable[..., Any], case: Case, repeat: int) -> float:
    """CPU time of an image, ms: of each image the best run, the mean over images."""
    times = []
    for image, mask in zip(case.images, case.masks, strict=True):
        of(image, mask)
        runs = []
        for _ in range(repeat):
            start = time.process_time()
            of(image, mask)
            runs.append(time.process_time() - start)
        times.append(min(runs))
    return 1e3 * float(np.mean(times))


def throughput(cases: list[Case]) -> str:
    """Wall time of a table of pictures on one thread and on all."""
    whole = [case for case in cases if case.version == "v1" and case.masks[0] is None]
    case = next(case for case in whole if case.label.startswith("256"))
    images = case.images * 16
    seconds = {}
    for workers in (1, thread_count()):
        start = time.perf_counter()
        feature_table(images, settings=frd_settings("v1", 2), workers=workers)
        seconds[workers] = time.perf_counter() - start
    each = [f"{workers} threads {len(images) / spent:.0f}" for workers, spent in seconds.items()]
    return f"Images of 256 × 256 a second, FRD v1, whole image: {', '.join(each)} (wall time)."


if __name__ == "__main__":
    if not ONE_THREAD.keys() <= os.environ.keys():  # libraries read them when they are loaded
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_THREAD)
    main()
