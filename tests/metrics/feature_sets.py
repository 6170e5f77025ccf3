"""Feature sets for the tests of the distances: made here, and the peers' with their values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "peers" / "metrics" / "fid"
PEER_SETS = ("d64", "d64_small", "d256", "d256_shift")

Features = np.ndarray[Any, np.dtype[np.float64]]


def peer_set(name: str) -> tuple[Features, Features, dict[str, Any]]:
    """Reference and generated features, and what clean-fid, pytorch-fid, torch-fidelity and prdc make of them."""
    if not FOLDER.is_dir():
        pytest.skip(f"the peers' features are not there: {FOLDER}")
    values = json.loads((FOLDER / "values.json").read_text())["values"][name]
    return *(np.load(FOLDER / f"{name}_{side}.npy").astype(np.float64) for side in ("real", "fake")), values


def gaussian_sets(
    seed: int, n: int, m: int, d: int, shift: float = 0.0, scale: float = 1.0
) -> tuple[Features, Features]:
    """Standard normal features, and such features scaled, the first one shifted."""
    rng = np.random.default_rng(seed)
    x, y = rng.standard_normal((n, d)), scale * rng.standard_normal((m, d))
    y[:, 0] += shift
    return x, y
