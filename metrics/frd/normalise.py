"""From radiomic columns of two sets to the features whose Fréchet distance is the FRD.

v1 (Konz, Osuala et al. 2026, "Fréchet radiomic distance") takes every column in standard deviations of the reference
from its mean; v0 (Osuala et al. 2024, "Towards learning contrast kinetics with multi-condition latent diffusion
models") brings it to 0–7.456… by the least and greatest value of both sets together.

`compat` does so as frd-score 1.0.1 does, in float32 (v1) and with pyradiomics' notes on its input among the columns.
There a column that is constant but for rounding (the mean of a wavelet detail of an even picture is 0 ± 1e-16) becomes
one of unit variance, and where the other set has pictures of an odd size, a distance of 10¹⁴ standard deviations.
`clean` leaves such columns out, and says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.metrics.frd.features import Version

    Floats = NDArray[np.float64]

__all__ = [
    "ALIEN",
    "GUARD",
    "NOTE",
    "RANGE",
    "SIZED",
    "UNDEFINED",
    "Mode",
    "Normalised",
    "Scale",
    "degenerate",
    "normalise",
    "scaled",
]

Mode: TypeAlias = Literal["clean", "compat"]

GUARD = 1e-9
"""A column whose standard deviation is below this part of its mean, or of 1, holds rounding noise."""

RANGE = 7.45670747756958
"""Upper end of v0's features, frd-score's constant: it brought FRD near the FID's range on its authors' data."""

NOTE = "a note on the input, no radiomic feature"
CONSTANT = "constant in the reference"
SIZED = "follows from the number of voxels, which differs between the sets"
ALIEN = "constant in the reference, but not so in the generated set"
FLAT = "constant in both sets"
UNDEFINED = "undefined in most images of a set"
INFINITE = "not finite once normalised"

_FOLLOW_SIZE = frozenset(
    {
        "firstorder_Energy",
        "firstorder_TotalEnergy",
        "firstorder_Mean",
        "glrlm_GrayLevelNonUniformity",
        "glrlm_RunLengthNonUniformity",
        "glszm_GrayLevelNonUniformity",
        "glszm_SizeZoneNonUniformity",
        "ngtdm_Busyness",
        "ngtdm_Coarseness",
        "ngtdm_Strength",
    }
)
"""Features that are sums over voxels, or one over such; and the mean, 0 by v1's normalisation but for an odd row. Of
whole images of one size v1 leaves them next to no spread: energy is N · (300² + 100²) with a deviation of N · 10⁻⁴, and
one row more or less lies hundreds of standard deviations away."""

_MOST = 0.5  # share of a set's images beyond which an undefined value is the column's fault


class Scale(NamedTuple):
    """The normalised value is (x − origin) · factor."""

    origin: Floats
    factor: Floats


@dataclass(frozen=True, eq=False)
class Normalised:
    """Two sets, ready for the Fréchet distance.

    Attributes:
        x: (n, d) float64 of the reference.
        y: (m, d) float64 of the generated set.
        names: (d,) of the columns kept.
        columns: (d,) their positions among those given.
        kept: Rows of both sets that are kept; the others hold NaN.
        dropped: Columns left out → why.
        noise: Columns kept, in compat, that hold rounding noise.
    """

    x: Floats
    y: Floats
    names: tuple[str, ...]
    columns: NDArray[np.intp]
    kept: tuple[NDArray[np.intp], NDArray[np.intp]]
    dropped: Mapping[str, str]
    noise: tuple[str, ...] = ()


def normalise(
    x: Floats, y: Floats, names: tuple[str, ...], version: Version, mode: Mode, *, resized: bool = False
) -> Normalised:
    """Normalises the columns of two sets.

    Images with an undefined feature are left out; v0 in compat puts the middle of the range instead, as frd-score does.
    Sets may come out empty.

    Args:
        x: (n, d) of the reference.
        y: (m, d) of the generated set.
        names: (d,) of the columns.
        version: "v0" or "v1".
        mode: "clean" or "compat".
        resized: Whether the sets hold whole images of different sizes: clean then leaves out what follows from that.
    """
    if mode == "compat":
        return (_compat_v0 if version == "v0" else _compat_v1)(x, y, names)
    reasons = {name: NOTE for name in names if name.startswith("diagnostics_")}
    if resized and version == "v1":
        reasons |= {name: SIZED for name in names if "_".join(name.split("_")[-2:]) in _FOLLOW_SIZE}
    undefined = np.maximum(_share_undefined(x), _share_undefined(y)) > _MOST
    reasons |= {names[k]: UNDEFINED for k in np.flatnonzero(undefined) if names[k] not in reasons}
    columns = np.array([k for k, name in enumerate(names) if name not in reasons], np.intp)
    kept = _complete(x[:, columns]), _complete(y[:, columns])
    x, y = x[kept[0]][:, columns], y[kept[1]][:, columns]
    flat = degenerate(x, y, version)
    for k in np.flatnonzero(flat):
        reasons[names[columns[k]]] = _why_flat(x[:, k], y[:, k], version)
    columns, x, y = columns[~flat], x[:, ~flat], y[:, ~flat]
    scale = scaled(x, y, version)
    named = tuple(names[k] for k in columns)
    return Normalised(_apply(x, scale), _apply(y, scale), named, columns, kept, reasons)


def degenerate(x: Floats, y: Floats, version: Version) -> NDArray[np.bool_]:
    """(d,) whether a column is constant but for rounding: in the reference for v1, in both together for v0."""
    if not len(x) or not len(y):
        return np.zeros(x.shape[1], np.bool_)
    spread, level = (x.std(0), x.mean(0)) if version == "v1" else _span(x, y)
    flat: NDArray[np.bool_] = ~(spread > GUARD * np.maximum(1.0, np.abs(level)))
    return flat


def scaled(x: Floats, y: Floats, version: Version) -> Scale:
    """How columns that are not degenerate are normalised."""
    if not len(x) or not len(y):
        return Scale(np.zeros(x.shape[1]), np.ones(x.shape[1]))
    if version == "v1":
        return Scale(x.mean(0), 1 / x.std(0))
    span, low = _span(x, y)
    return Scale(low, RANGE / span)


def _compat_v1(x: Floats, y: Floats, names: tuple[str, ...]) -> Normalised:
    """In float32, row by row in memory: the order in which numpy adds decides the last digits."""
    kept = _complete(x), _complete(y)
    first, second = (np.ascontiguousarray(one[rows], np.float32) for one, rows in zip((x, y), kept, strict=True))
    with np.errstate(all="ignore"):
        mean, deviation = first.mean(0), first.std(0)
        first, second = (first - mean) / deviation, (second - mean) / deviation
    finite = np.isfinite(first).all(0) & np.isfinite(second).all(0)
    columns = np.flatnonzero(finite)
    noisy = degenerate(x[kept[0]], y[kept[1]], "v1") & finite
    return Normalised(
        first[:, columns].astype(np.float64),
        second[:, columns].astype(np.float64),
        tuple(names[k] for k in columns),
        columns,
        kept,
        {names[k]: INFINITE for k in np.flatnonzero(~finite)},
        tuple(names[k] for k in np.flatnonzero(noisy)),
    )


def _compat_v0(x: Floats, y: Floats, names: tuple[str, ...]) -> Normalised:
    both = np.concatenate([x, y])
    defined = ~np.isnan(both)
    low, high = np.where(defined, both, np.inf).min(0), np.where(defined, both, -np.inf).max(0)
    with np.errstate(all="ignore"):
        z = (both - low) / (high - low) * RANGE
    z[:, ~(high > low)] = RANGE / 2
    z[np.isnan(z)] = RANGE / 2
    every = np.arange(len(names))
    kept = np.arange(len(x)), np.arange(len(y))
    return Normalised(z[: len(x)], z[len(x) :], names, every, kept, {})


def _why_flat(x: Floats, y: Floats, version: Version) -> str:
    if version == "v0":
        return FLAT
    level = abs(float(x.mean()))
    same = np.abs(y - x.mean()).max(initial=0.0) <= 1e3 * GUARD * max(1.0, level)
    return CONSTANT if same else ALIEN


def _span(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    low = np.minimum(x.min(0), y.min(0))
    return np.maximum(x.max(0), y.max(0)) - low, low


def _apply(values: Floats, scale: Scale) -> Floats:
    return (values - scale.origin) * scale.factor


def _complete(values: Floats) -> NDArray[np.intp]:
    return np.flatnonzero(~np.isnan(values).any(1))


def _share_undefined(values: Floats) -> Floats:
    """(d,) of the images that have any feature."""
    missing = np.isnan(values)
    missing = missing[~missing.all(1)]
    return np.asarray(missing.mean(0) if len(missing) else np.zeros(values.shape[1]), np.float64)
