"""The images, masks and features made with the reference implementations, which lie beside the repository."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from PIL import Image

FOLDER = Path(__file__).resolve().parents[4] / "shared" / "peers" / "metrics"


def folder(name: str) -> Path:
    """A folder of the fixtures; skips where it is absent."""
    found = FOLDER / name
    if not found.is_dir():
        pytest.skip(f"the reference features are not there: {found}")
    return found


def features(environment: str, version: str, masked: str, letter: str) -> tuple[tuple[str, ...], list[str], Any]:
    """Column names, file names and values (n, d) of a stored table; skips where it was not made."""
    path = folder(environment) / f"features_{version}_{masked}_{letter}.csv"
    if not path.exists():
        pytest.skip(f"{path.name} was not made in {environment}")
    head, *rows = csv.reader(path.read_text().splitlines())
    return tuple(head[1:]), [row[0] for row in rows], np.array([row[1:] for row in rows], float)


def image(path: Path) -> tuple[Any, Any]:
    """Array and spacing (x, y[, z]) of a picture or volume."""
    if path.suffix == ".png":
        return np.asarray(Image.open(path)), (1.0, 1.0)
    volume = SimpleITK.ReadImage(str(path))
    return SimpleITK.GetArrayFromImage(volume), volume.GetSpacing()
