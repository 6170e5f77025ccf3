"""Sets of small pictures for the tests of scores and gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from pathlib import Path

Pictures = np.ndarray[Any, np.dtype[np.uint8]]


def pictures(seed: int, n: int, size: int = 40, *, blur: float = 0.0, contrast: float = 1.0) -> Pictures:
    """(n, size, size) smooth random fields with noise, each of its own brightness and grain; blurred, flattened."""
    rng = np.random.default_rng(seed)
    found = np.empty((n, size, size), np.uint8)
    for k in range(n):
        field = gaussian_filter(rng.standard_normal((size, size)), rng.uniform(1.5, 3.0), mode="wrap")
        image = rng.uniform(100, 150) + 35 * field / field.std() + rng.uniform(3, 8) * rng.standard_normal(field.shape)
        image = gaussian_filter(image, blur) if blur else image
        found[k] = np.clip(np.rint(128 + contrast * (image - 128)), 0, 255)
    return found


def write_pictures(folder: Path, images: Any, columns: dict[str, list[Any]] | None = None) -> Path:
    """A folder of PNG files 000.png, …, with metadata.csv where columns are given."""
    folder.mkdir(parents=True)
    for k, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{k:03}.png")
    if columns is not None:
        rows = [
            ",".join(map(str, (f"{k:03}.png", *cells))) for k, cells in enumerate(zip(*columns.values(), strict=True))
        ]
        (folder / "metadata.csv").write_text("\n".join([",".join(("file_name", *columns)), *rows]) + "\n")
    return folder
