"""Every feature of every image equals what pyradiomics, as frd-score calls it, gave for it."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from synth.metrics.radiomics.extract import extract
from synth.metrics.radiomics.filters import stationary_wavelet
from synth.metrics.radiomics.settings import column_names, frd_settings
from synth.metrics.radiomics.table import feature_table
from tests.metrics.radiomics import fixtures

RELATIVE = 1e-8
"""Of each feature; the best agreement that is asked for anywhere."""

NOISE = 1e-14
"""Of the image's range: features that are 0 but for rounding, as the mean of a detail of a periodic image."""

ROUNDING = {f"wavelet-{band}_firstorder_Mean" for band in ("LH", "HL", "HH")}
"""Such features where the whole of an even image counts: frd-score's columns hold ±1e-16 there."""


@pytest.mark.parametrize("letter", ["A", "B"])
@pytest.mark.parametrize("masked", ["mask", "nomask"])
@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("environment", ["frd_master", "frd_301", "frd_py39_310wheel", "frd_3d"])
def test_features(environment: str, version: Any, masked: str, letter: str) -> None:
    names, files, expected = fixtures.features(environment, version, masked, letter)
    dimension: Any = 3 if environment == "frd_3d" else 2
    settings = frd_settings(version, dimension)
    assert column_names(settings, dimension) == names
    data = fixtures.folder("volumes3d" if dimension == 3 else "images128")
    pictures = [fixtures.image(data / f"{letter}_img" / file) for file in files]
    masks = [fixtures.image(data / f"{letter}_mask" / file)[0] for file in files] if masked == "mask" else None
    table = feature_table([picture for picture, _ in pictures], masks, settings, [size for _, size in pictures])
    assert table.names == names
    rounding = np.isin(names, list(ROUNDING)) & (masked == "nomask") & (dimension == 2)
    error = np.abs(table.values - expected) / np.maximum(np.abs(expected), 1e-300)
    worst = np.unravel_index(np.where(rounding, 0, error).argmax(), error.shape)
    message = f"{files[worst[0]]} {names[worst[1]]}: {table.values[worst]} for {expected[worst]}"
    assert error[worst] <= RELATIVE, message
    assert np.abs(table.values - expected)[:, rounding].max(initial=0) <= NOISE * 1000


@pytest.mark.parametrize(("height", "width"), [(67, 53), (128, 41), (256, 256)])
def test_any_size_and_mask_is_as_the_prototype_has_it(monkeypatch: pytest.MonkeyPatch, height: int, width: int) -> None:
    if importlib.util.find_spec("pywt") is None:  # our own transform, which the tables above prove
        stand_in = ModuleType("pywt")
        stand_in.swtn = swtn  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pywt", stand_in)
    monkeypatch.syspath_prepend(str(fixtures.folder("prototype")))
    prototype: Any = importlib.import_module("radiomics2d")
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (height, width)).astype(np.uint8)
    for mask in (rng.random(picture.shape) < 0.3, picture > 250):
        assert extract(picture, mask, frd_settings("v1", 2)) == pytest.approx(prototype.v1(picture, mask), rel=RELATIVE)
        assert extract(picture, mask, frd_settings("v0", 2)) == pytest.approx(prototype.v0(picture, mask), rel=1e-7)


def swtn(image: Any, wavelet: str, level: int, axes: Any) -> Any:
    """PyWavelets' function, as far as the prototype uses it."""
    assert (wavelet, level, axes) == ("coif1", 1, (1, 0))
    return [{name.replace("L", "a").replace("H", "d"): band for name, band in stationary_wavelet(image).items()}]
