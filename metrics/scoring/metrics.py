"""The scores there are, by name: what they look at, which way is better, and what computes them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from synth.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from synth.metrics.patients import Patients
    from synth.metrics.score_value import Score

    Features = NDArray[np.float64]
    Scores = Mapping[str, Score]
    OfFeatures = Callable[[Features, Features, np.random.Generator, Patients], Scores]

__all__ = ["DEFAULT", "FAMILIES", "METRICS", "Better", "Metric", "metric_names", "passes"]

Better: TypeAlias = Literal["lower", "higher", "alike"]


@dataclass(frozen=True)
class Metric:
    """A score.

    Attributes:
        name: As users write it.
        better: Whether generated images are better where it is lower, higher, or alike the reference's own value.
        sees: The chosen extractor's features, Inception's, the FRD's or the images.
        family: What is computed in one go with it; a key of `FAMILIES` where it takes features.
        about: What it is, in a few words.
    """

    name: str
    better: Better
    sees: Literal["features", "inception", "frd", "images"]
    family: str
    about: str


_METRICS = (
    Metric("frd", "lower", "frd", "frd", "logarithm of the Fréchet distance of radiomic features (FRD)"),
    Metric("fid", "lower", "inception", "fd", "Fréchet distance of Inception features (FID, as clean-fid)"),
    Metric("fd", "lower", "features", "fd", "Fréchet distance of the features"),
    Metric("fd-inf", "lower", "features", "fd-inf", "Fréchet distance extrapolated to endless images (FD∞)"),
    Metric("kid", "lower", "features", "kid", "kernel distance of the features, unbiased (KID)"),
    Metric("cmmd", "lower", "features", "cmmd", "kernel distance of CLIP embeddings (CMMD)"),
    Metric("precision", "higher", "features", "prdc", "share of generated images that look like some real image"),
    Metric("recall", "higher", "features", "prdc", "share of real images that look like some generated image"),
    Metric("density", "higher", "features", "prdc", "how many real neighbours a generated image has, over k"),
    Metric("coverage", "higher", "features", "prdc", "share of real images with a generated image near them"),
    Metric("ms-ssim", "alike", "images", "ms-ssim", "likeness of pairs of generated images; high is little diversity"),
    Metric("vendi", "alike", "features", "vendi", "effective number of different images (Vendi score)"),
)

METRICS: Mapping[str, Metric] = MappingProxyType({metric.name: metric for metric in _METRICS})
"""Name → metric."""

DEFAULT = ("frd", "fd", "fd-inf", "kid", "precision", "recall", "density", "coverage", "ms-ssim", "vendi")
"""What is scored where nothing is asked for: what needs no download."""

_ALIASES = {
    "prdc": ("precision", "recall", "density", "coverage"),
    "fd∞": ("fd-inf",),
    "msssim": ("ms-ssim",),
    "default": DEFAULT,
}


def metric_names(wanted: str | Iterable[str]) -> tuple[str, ...]:
    """The metrics that a user names, in their order.

    Args:
        wanted: Names, or one text with commas between; "prdc" stands for its four; "fd_inf" for "fd-inf".

    Raises:
        InputError: An unknown name (the nearest is offered), or none.
    """
    parts = wanted.split(",") if isinstance(wanted, str) else list(wanted)
    found: dict[str, None] = {}
    for part in parts:
        name = str(part).strip().lower().replace("_", "-")
        if not name:
            continue
        if name not in METRICS and name not in _ALIASES:
            near = difflib.get_close_matches(name, (*METRICS, *_ALIASES), 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(METRICS)}, prdc"
            raise InputError(f"unknown metric {part!r}; {hint}")
        found |= dict.fromkeys(_ALIASES.get(name, (name,)))
    if not found:
        raise InputError(f"no metric is named; known are {', '.join(METRICS)}, prdc")
    return tuple(found)


def passes(names: Iterable[str]) -> int:
    """How many times the images of both sets go through an extractor for these metrics."""
    return len({METRICS[name].sees for name in names} - {"images"})


def _fd(x: Features, y: Features, rng: np.random.Generator, patients: Patients) -> Scores:
    from synth.metrics.distances.frechet_score import frechet_score

    return {"fd": frechet_score(x, y, rng=rng, patients=patients)}


def _fd_inf(x: Features, y: Features, rng: np.random.Generator, patients: Patients) -> Scores:
    from synth.metrics.distances.frechet_score import frechet_infinity_score

    return {"fd-inf": frechet_infinity_score(x, y, rng=rng, patients=patients)}


def _kid(x: Features, y: Features, rng: np.random.Generator, patients: Patients) -> Scores:
    from synth.metrics.distances.mmd_score import kid_score

    return {"kid": kid_score(x, y, rng=rng, patients=patients)}


def _cmmd(x: Features, y: Features, rng: np.random.Generator, patients: Patients) -> Scores:
    from synth.metrics.distances.mmd_score import cmmd_score

    return {"cmmd": cmmd_score(x, y, rng=rng, patients=patients)}


def _prdc(x: Features, y: Features, rng: np.random.Generator, patients: Patients) -> Scores:
    from synth.metrics.distances.prdc_score import prdc_scores

    return prdc_scores(x, y, rng=rng, patients=patients)


def _vendi(x: Features, y: Features, rng: np.random.Generator, patients: Patients) -> Scores:
    from synth.metrics.distances.diversity_score import vendi_diversity_score

    return {"vendi": vendi_diversity_score(x, y, rng=rng, patients=patients)}


FAMILIES: Mapping[str, OfFeatures] = MappingProxyType(
    {"fd": _fd, "fd-inf": _fd_inf, "kid": _kid, "cmmd": _cmmd, "prdc": _prdc, "vendi": _vendi}
)
"""Family → scores of reference features (n, d) and generated ones (m, d), of these patients."""
