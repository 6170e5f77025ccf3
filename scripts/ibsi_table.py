"""Our radiomic features beside the reference values of the Image Biomarker Standardisation Initiative (IBSI).

The digital phantom, and the chest CT in the configurations A to E of the reference manual (arXiv:1612.07003, table
3.1), with every aggregation of texture matrices that we have. A value complies where it lies, rounded to the three
digits that the reference has, within the reference's tolerance.

    python scripts/ibsi_table.py
    python scripts/ibsi_table.py --ct FOLDER -o docs/radiomics.md

The phantom and the reference values lie with the project's test data. The chest CT (phantom.nii.gz, mask.nii.gz) is
IBSI's data set ibsi_1_ct_radiomics_phantom (CC BY-NC 3.0), which is not distributed with this project.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import SimpleITK
from bench_drr_peers.tables import replace_section, table

from synth.metrics.radiomics.extract import extract
from synth.metrics.radiomics.ibsi import IBSI_TAGS
from synth.metrics.radiomics.levels import discretised
from synth.metrics.radiomics.preparation import Region, resampled, resegmented
from synth.metrics.radiomics.settings import FEATURES, Settings
from synth.metrics.radiomics.texture import texture_features

if TYPE_CHECKING:
    from collections.abc import Iterator

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "peers" / "metrics" / "ibsi"
TEXTURES = tuple(f"{kind}_{name}" for kind in ("glcm", "glrlm", "glszm", "gldm", "ngtdm") for name in FEATURES[kind])
IN_VOXELS = Settings(
    spacing=(2.0, 2.0, 2.0), interpolation="linear", mask_interpolation="linear", alignment="centre", whole_values=True
)
CONFIGURATIONS = {
    "digital phantom": Settings(bin_width=1.0),
    "A": Settings(resegment=(-500, 400), bin_width=25.0, bin_origin=-500.0),
    "B": replace(IN_VOXELS, spacing=(2.0, 2.0, 0.0), resegment=(-500, 400), bin_count=32),
    "C": replace(IN_VOXELS, resegment=(-1000, 400), bin_width=25.0, bin_origin=-1000.0),
    "D": replace(IN_VOXELS, outliers=3.0, bin_count=32),
    "E": replace(IN_VOXELS, interpolation="bspline", resegment=(-1000, 400), outliers=3.0, bin_count=32),
}
Case = tuple[Any, Any, tuple[float, float, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, metavar="FOLDER", default=REFERENCE, help="phantom and values")
    parser.add_argument("--ct", type=Path, metavar="FOLDER", help="the chest CT")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the section into")
    options = parser.parse_args()
    found = {}
    for name, settings in CONFIGURATIONS.items():
        chest = len(name) == 1
        if not chest or options.ct:
            folder, prefix = (options.ct, "") if chest else (options.reference, "digital_")
            case = load(folder, f"{prefix}phantom", f"{prefix}mask")
            file = f"ibsi_1_chest_config_{name.lower()}" if chest else "ibsi_1_dig_phantom"
            found[name] = dict(compare(case, settings, options.reference / f"{file}.csv"))
            print(f"{name}: {sum(ok for ok, *_ in found[name].values())} of {len(found[name])}", file=sys.stderr)
    text = report(found)
    print(text)
    if options.output:
        replace_section(options.output, "ibsi_table", text)


def load(folder: Path, image: str, mask: str) -> Case:
    """Image, mask and spacing (x, y, z)."""
    picture, inside = (SimpleITK.ReadImage(str(folder / f"{name}.nii.gz")) for name in (image, mask))
    return SimpleITK.GetArrayFromImage(picture), SimpleITK.GetArrayFromImage(inside), picture.GetSpacing()


def compare(case: Case, settings: Settings, path: Path) -> Iterator[tuple[str, tuple[bool, float, float, float]]]:
    """For each reference value that we have a feature for: whether it complies, value, reference, tolerance."""
    values = measure(case, settings)
    for row in csv.DictReader(path.read_text().splitlines(), delimiter=";"):
        tag = row["tag"]
        if tag in values and row["reference value"]:
            value = values[tag] - 3 if tag == "stat_kurt" else values[tag]
            reference, tolerance = float(row["reference value"]), float(row["tolerance"])
            complies = abs(float(f"{value:.3g}") - reference) <= tolerance + 1e-9 * abs(reference)
            yield tag, (complies, value, reference, tolerance)


def measure(case: Case, settings: Settings) -> dict[str, float]:
    """All our features by IBSI's tags."""
    image, mask, spacing = case
    whole = {}
    for name in ("3D_avg", "3D_comb", "2_5D_avg", "2_5D_comb"):
        aggregated = replace(settings, in_plane=name[0] == "2", merge=name.endswith("comb"))
        whole[name] = extract(image, mask, aggregated, spacing)
    whole |= {name: slices(case, settings, merge=name.endswith("comb")) for name in ("2D_avg", "2D_comb")}
    found = {}
    for tag, feature in IBSI_TAGS.items():
        if feature not in TEXTURES:
            found[tag] = whole["3D_avg"][feature]
            continue
        for name, values in whole.items():
            directions = feature.startswith(("glcm_", "glrlm_"))
            if directions or name.endswith("avg"):
                found[f"{tag}_{name if directions else name.removesuffix('_avg')}"] = values[feature]
    return found


def slices(case: Case, settings: Settings, *, merge: bool) -> dict[str, float]:
    """Texture features of each slice, averaged over slices; the grey levels are the whole region's."""
    image, mask, (x, y, z) = case
    region = Region(np.asarray(image, np.float64), np.asarray(mask) > 0, (z, y, x), 3)
    if settings.spacing:
        region = resampled(region, settings)
    region = resegmented(region, settings)
    ranks, grey = discretised(region.image[region.mask], settings)
    levels = np.zeros(region.mask.shape, np.int64)
    levels[region.mask] = grey[ranks.astype(np.int64) - 1]
    found = defaultdict(list)
    for level in levels[levels.any((1, 2))]:
        occurring = np.unique(level[level > 0])
        rank = np.searchsorted(occurring, level[None]) + 1
        features = texture_features(
            (rank * (level > 0)).astype(np.uint16), occurring, TEXTURES, merge=merge, highest=int(grey[-1])
        )
        for name, value in features.items():
            found[name].append(value)
    return {name: float(np.nanmean(values)) for name, values in found.items()}


def report(found: dict[str, dict[str, tuple[bool, float, float, float]]]) -> str:
    """How many reference values each feature meets, and those it does not."""
    absent = [name for name in CONFIGURATIONS if name not in found]
    lines = []
    for stem, feature in IBSI_TAGS.items():
        cells = []
        for values in found.values():
            met = [ok for tag, (ok, *_) in values.items() if tag == stem or _aggregation(tag, stem)]
            cells.append(f"{sum(met)}/{len(met)}" if met else "–")
        lines.append([stem, feature, *cells])
    totals = [f"{sum(ok for ok, *_ in values.values())}/{len(values)}" for values in found.values()]
    text = table(["IBSI", "feature", *found], [["all", "", *totals], *lines])
    off = [
        [name, tag, f"{value:.4g}", f"{reference:g} ± {tolerance:g}"]
        for name, values in found.items()
        for tag, (ok, value, reference, tolerance) in values.items()
        if not ok
    ]
    if off:
        text += f"\nOutside the tolerance:\n\n{table(['data', 'IBSI', 'ours', 'reference'], off)}"
    if absent:
        text += f"\nNot compared, for want of the chest CT: {', '.join(absent)}.\n"
    return text


def _aggregation(tag: str, stem: str) -> bool:
    """Whether a tag is a stem with what says how matrices are aggregated."""
    return tag.startswith(f"{stem}_") and tag.removeprefix(f"{stem}_")[0] in "23"


if __name__ == "__main__":
    main()
