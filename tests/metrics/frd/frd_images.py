"""Pictures for the tests of the FRD: smooth noise with a bright disc."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

from synth.metrics.frd.features import FrdTable


def pictures(seed: int, n: int, size: int = 48, smooth: float = 2.0, dtype: Any = np.uint8) -> Any:
    """(n, size, size) of one distribution; another `smooth` is another."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size] - size / 2
    made = []
    for _ in range(n):
        texture = ndimage.gaussian_filter(rng.standard_normal((size, size)), smooth)
        disc = 40 * (np.hypot(y + rng.normal(0, 3), x + rng.normal(0, 3)) < size / 4 * rng.uniform(0.8, 1.2))
        made.append(110 + 25 * texture / texture.std() + disc + rng.normal(0, 2, (size, size)))
    return np.clip(np.rint(made), 0, 255).astype(dtype)


def table(seed: int, n: int, d: int = 6, shift: float = 0.0, name: str = "set") -> FrdTable:
    """A table of normal columns, with names that features have."""
    names = tuple(f"{image}glcm_{k}" for image in ("", "wavelet-HH_") for k in range(-(-d // 2)))[:d]
    return FrdTable.of(name, names, np.random.default_rng(seed).standard_normal((n, d)) + shift)
