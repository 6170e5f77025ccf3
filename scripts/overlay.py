"""A contact sheet of a dataset: every radiograph, plain and with its masks laid over it in colour.

python scripts/overlay.py DATASET -o SHEET.png [--structures heart,lung,…] [--limit N] [--side PIXELS]
"""

import argparse
import colorsys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from synth.dataset.writers.coco import read_masks
from synth.dataset.writers.png import read_png

# Structures by the beginning of their names, each family with its colour (hue 0 to 1).
FAMILIES = {"lung_upper": 0.55, "lung_middle": 0.45, "lung_lower": 0.65, "heart": 0.0, "aorta": 0.95, "liver": 0.12}
FAMILIES |= {"clavicula": 0.3, "trachea": 0.75, "sternum": 0.22, "stomach": 0.85, "spleen": 0.08, "lung": 0.55}
OPACITY = 0.35


def tint(
    image: NDArray[np.uint8], masks: dict[str, NDArray[np.bool_]], families: dict[str, float]
) -> NDArray[np.uint8]:
    """(h, w) → (h, w, 3): masks blended over the picture, outlines opaque."""
    colour = np.repeat(image[..., None], 3, 2).astype(np.float32)
    for name, mask in sorted(masks.items()):
        hue = next((hue for family, hue in families.items() if name.startswith(family)), None)
        if hue is None:
            continue
        rgb = 255 * np.array(colorsys.hsv_to_rgb(hue, 0.8, 1.0), np.float32)
        inner = mask & np.roll(mask, 1, 0) & np.roll(mask, -1, 0) & np.roll(mask, 1, 1) & np.roll(mask, -1, 1)
        colour[mask] += OPACITY * (rgb - colour[mask])
        colour[mask & ~inner] = rgb
    return colour.round().astype(np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--structures", default=",".join(FAMILIES), help="beginnings of names")
    parser.add_argument("--limit", type=int, default=6, help="radiographs at most")
    parser.add_argument("--side", type=int, default=512, help="pixels of one picture")
    options = parser.parse_args()

    families = {name: FAMILIES.get(name, i / 7) for i, name in enumerate(options.structures.split(","))}
    annotations = options.dataset / "masks" / "annotations.json"
    masks = read_masks(annotations) if annotations.exists() else {}
    rows = []
    for path in sorted((options.dataset / "images").glob("*/*.png"))[: options.limit]:
        image = (read_png(path)[0] >> 8).astype(np.uint8)
        named = masks.get(path.relative_to(options.dataset).as_posix(), {})
        pair = np.concatenate([np.repeat(image[..., None], 3, 2), tint(image, named, families)], axis=1)
        rows.append(Image.fromarray(pair).resize((2 * options.side, options.side * image.shape[0] // image.shape[1])))
    sheet = Image.new("RGB", (2 * options.side, sum(row.height for row in rows)))
    for i, row in enumerate(rows):
        sheet.paste(row, (0, sum(above.height for above in rows[:i])))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(options.output)


if __name__ == "__main__":
    main()
