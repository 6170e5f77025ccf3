"""How real our chest radiographs look, measured against real frontal ones.

python scripts/compare_real.py [-o docs/realism.md] [--picture docs/images/realism.png] [--sheet FILE]

Ours: frontal pictures of two chest CTs, PA by the preset chest-pa and AP by chest-ap-portable, turned and tilted by a
few degrees, framed by margins around the lungs drawn from real films. Each is made three times: by the physics and its
processing; plainly, as line integrals at 60 keV through the default window; and as those line integrals with the
processing. Real: adults' frontal radiographs. All have a short side of 320 pixels. Measured are

- grey levels (0 black, 1 white) of regions that follow from the lung mask alone, in the same way for real and ours;
- the Fréchet and the kernel distance of classical features of the middle square to the real test split;
- noise: what is finer than two pixels, in the flattest patches of every picture.

Real pictures of the train and validation splits give the margins, the standardisation and the floor of the distances
(as many of their patients as there are pictures of ours; and, as ours show two bodies, two of their films alone); no
patient of theirs is in the test split.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench_drr_peers.tables import replace_section, table
from PIL import Image
from scipy import ndimage, stats

from synth.core.reading import read_volume
from synth.core.volume import Labels
from synth.drr.exposure import expose
from synth.drr.geometry import Camera
from synth.drr.presentation import present, process
from synth.drr.projector import Projector
from synth.drr.technique import Technique, technique
from synth.drr.tissue import Calibration
from synth.drr.views import View, fit_camera, parse_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from synth.core.volume import Volume

    Grey = NDArray[np.float32]
    Mask = NDArray[np.bool_]

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
CTS = ("lidc_idri_0001", "lung_dx_a0001")
SIDE, RAW_SIDE = 320, 960  # short sides: of a picture, and of the panel's image it is made from
SHADOW = 0.4  # line integral behind the body: 2 cm of water
LUNG_HU, LUNG_MM = -500, 25.0  # air in the lung; thickness along a ray from which it counts as lung, more than trachea
QUANTILES = (10, 50, 90)
REGIONS = ("lung", "mediastinum", "below diaphragm", "darkest outside")
BANDS = (0.7, 1.4, 2.8, 5.6, 11.2, 22.4)  # pixels
COMPONENTS, RESAMPLES = 12, 300
CREDIT = (
    "Real radiographs: NIH ChestX-ray14, provided by the NIH Clinical Center "
    "(https://nihcc.app.box.com/v/ChestXray-NIHCC; Wang et al., ChestX-ray8, CVPR 2017). CTs: LIDC-IDRI and "
    "Lung-PET-CT-Dx, The Cancer Imaging Archive."
)


@dataclass(frozen=True, eq=False)
class Film:
    """A picture to be compared: `grey` (h, w) from 0 to 1, the lungs where known."""

    grey: Grey
    view: str
    split: str = ""
    patient: str = ""
    lungs: Mask | None = None

    @property
    def square(self) -> Grey:
        """The middle square, (320, 320)."""
        top, left = ((n - SIDE) // 2 for n in self.grey.shape)
        return self.grey[top : top + SIDE, left : left + SIDE]


@dataclass(frozen=True)
class Box:
    """Where the lungs are: (h, w) of the picture and the first and the last row and column, the last excluded."""

    shape: tuple[int, int]
    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def of(cls, mask: Mask) -> Box:
        """The box around a mask."""
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        return cls(mask.shape, rows[0], rows[-1] + 1, columns[0], columns[-1] + 1)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the lungs, pixels."""
        return self.bottom - self.top, self.right - self.left

    @property
    def margins(self) -> NDArray[np.float64]:
        """(4,): top, bottom, left, right as shares of the lungs' height or width."""
        (h, w), (height, width) = self.shape, self.size
        return np.array([self.top / height, (h - self.bottom) / height, self.left / width, (w - self.right) / width])


# ---- pictures ----


def real_films(folder: Path) -> list[Film]:
    """Frontal radiographs of adults, and of patients whose age is not stated in a collection of adults."""
    films = []
    with (folder / "metadata.csv").open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            if row["age"] and float(row["age"]) < 18:
                continue
            grey = np.asarray(Image.open(folder / row["file_name"]).convert("L"), np.float32) / 255
            lungs = np.asarray(Image.open(folder / row["lung_mask"])) > 0 if row["lung_mask"] else None
            films.append(Film(grey, row["view"][:2], row["split"], row["patient_id"], lungs))
    return films


def lung_labels(volume: Volume) -> Labels:
    """Air inside the body: parts of a fifth of the largest one or more; bowel gas and airways alone are smaller."""
    air = ndimage.binary_opening(volume.hu < LUNG_HU)
    parts, n = ndimage.label(air)
    sizes = np.bincount(parts.ravel(), minlength=n + 1)
    sizes[0] = 0
    sizes[np.unique(np.concatenate([parts[:, [0, -1]].ravel(), parts[:, :, [0, -1]].ravel()]))] = 0
    keep = sizes > 0.2 * sizes.max()
    return Labels(keep[parts].astype(np.uint8), volume.affine, {1: "lung"})


@dataclass(frozen=True, eq=False)
class Shot:
    """A view of a CT with everything but the technique: what both ways of making a picture start from."""

    view: str
    patient: str
    seed: int
    camera: Camera
    tissue: NDArray[np.float32]
    line: NDArray[np.float32]
    outline: NDArray[np.float64]
    lungs: Mask

    def physics(self, how: Technique) -> Film:
        """As a panel reads and a vendor shows it."""
        taken = expose(how, self.camera, self.tissue, self.outline, seed=self.seed)
        picture = process(taken.log_signal, taken.shadow, how.processing, pitch_mm=self.camera.pitch_mm[1])
        return self._film(picture)

    def plain(self) -> Film:
        """Line integrals through the default window."""
        return self._film(present(self.line)[0])

    def processed(self, how: Technique) -> Film:
        """Line integrals with the processing of a technique, without its physics."""
        body = self.line > SHADOW
        return self._film(process(self.line, body, how.processing, pitch_mm=self.camera.pitch_mm[1]))

    def _film(self, picture: NDArray[np.uint16]) -> Film:
        h, w = picture.shape
        scale = SIDE / min(h, w)
        size = (round(w * scale), round(h * scale))
        small = Image.fromarray(picture.astype(np.float32)).resize(size, Image.Resampling.LANCZOS)
        grey = np.rint(np.clip(np.asarray(small) / 65535, 0, 1) * 255) / 255  # 8 bits, as the real ones
        lungs = np.asarray(Image.fromarray(self.lungs).resize(size))
        return Film(grey.astype(np.float32), self.view, "ours", self.patient, lungs)


def poses(view: str) -> list[View]:
    """PA or AP and what is near: turned by up to 6° to either side, tilted by 3° towards head or feet."""
    usual = parse_view(view)
    tilted = [(0, 3), (0, -3), (4, 3), (-4, -3)]
    moves = [*((turn, 0) for turn in range(-6, 7, 2)), *tilted]
    return [replace(usual, primary_deg=usual.primary_deg + turn, secondary_deg=tilt) for turn, tilt in moves]


def shots(margins: dict[str, list[NDArray[np.float64]]], seed: int) -> Iterator[Shot]:
    """All views of all CTs.

    Args:
        margins: View → Box.margins of real films.
        seed: Of the margins' choice and of the noise.
    """
    rng = np.random.default_rng(seed)
    for ct in CTS:
        volume = read_volume(DATA / "ct" / f"{ct}.nii.gz", check_hu=False)
        body, plain = Projector(volume, lung_labels(volume), calibration=Calibration.schneider()), Projector(volume)
        for view, preset in (("PA", "chest-pa"), ("AP", "chest-ap-portable")):
            for i, pose in enumerate(poses(view)):
                distance = technique(preset).source_detector_mm
                wide = fit_camera(pose, body.outline, body.corners, (256, 256), source_detector_mm=distance)
                around = margins[view][rng.integers(len(margins[view]))]
                camera = framed(wide, body, around)
                yield Shot(
                    view,
                    ct,
                    seed + i,
                    camera,
                    body.tissue_integrals([camera])[0],
                    plain.line_integrals([camera])[0],
                    body.outline,
                    body.thickness(camera)["lung"] > LUNG_MM,
                )


def framed(wide: Camera, body: Projector, margins: NDArray[np.float64]) -> Camera:
    """The part of a view around the lungs that a real film would show, as far as the CT reaches."""
    box = Box.of(body.thickness(wide)["lung"] > LUNG_MM)
    height, width = box.size
    places = wide.to_pixels(body.outline)
    z, across = body.outline[:, 2], np.sort(places[:, 0])
    first = places[z > z.max() - 5, 1].max()  # rows that the whole depth of the body covers
    last = places[z < z.min() + 5, 1].min()
    top = max(box.top - margins[0] * height, min(first, box.top))
    bottom = min(box.bottom + margins[1] * height, max(last, box.bottom))
    left = max(box.left - margins[2] * width, across[0])
    right = min(box.right + margins[3] * width, across[-1])
    pitch = wide.pitch_mm[0] * min(bottom - top, right - left) / RAW_SIDE
    shape = tuple(max(RAW_SIDE, round(n * wide.pitch_mm[0] / pitch)) for n in (bottom - top, right - left))
    centre = wide.origin + wide.du * (left + right - 1) / 2 + wide.dv * (top + bottom - 1) / 2
    unit = [axis / np.linalg.norm(axis) for axis in (wide.du, wide.dv)]
    return Camera.looking(wide.source, centre, *unit, pitch_mm=pitch, shape=shape, name=wide.name)


# ---- grey levels of regions ----


def regions(lungs: Mask) -> dict[str, Mask]:
    """Parts of a film that follow from the lungs' mask alone.

    Lung: the mask (as people draw it, lung behind the heart included), a little inside its edge. Mediastinum: between
    the lungs, row by row, in the lower three quarters of their height. Below the diaphragm: under the lungs, column by
    column, from 6 to 30 % of their height away. Outside: beside and above the box around them.
    """
    box = Box.of(lungs)
    height, width = box.size
    edge = max(1, round(0.02 * width))
    rows, columns = np.mgrid[: lungs.shape[0], : lungs.shape[1]]
    middle = (columns > box.left + 0.3 * width) & (columns < box.right - 0.3 * width)
    seen = (
        np.logical_or.accumulate(lungs & ~middle, 1) & np.logical_or.accumulate((lungs & ~middle)[:, ::-1], 1)[:, ::-1]
    )
    upright = (rows > box.top + 0.25 * height) & (rows < box.top + 0.9 * height)
    lowest = np.where(lungs.any(0), lungs.shape[0] - lungs[::-1].argmax(0), lungs.shape[0])
    under = rows - lowest[None, :]
    inside = (columns >= box.left) & (columns < box.right) & (rows >= box.top)
    return {
        "lung": ndimage.binary_erosion(lungs, iterations=edge),
        "mediastinum": ndimage.binary_erosion(seen & middle & upright & ~lungs, iterations=edge),
        "below diaphragm": (under > 0.06 * height) & (under < 0.3 * height),
        "darkest outside": ~inside,
    }


def levels(film: Film) -> NDArray[np.float64]:
    """(regions, quantiles) of the grey; NaN where a region is not in the film; outside, its darkest tenth."""
    found = np.full((len(REGIONS), len(QUANTILES)), np.nan)
    for i, (name, mask) in enumerate(regions(film.lungs).items()):
        if mask.sum() >= 50:
            share = np.array(QUANTILES) / 10 if name == "darkest outside" else QUANTILES
            found[i] = np.percentile(film.grey[mask], share)
    return found


def level_table(real: list[Film], made: dict[str, list[Film]]) -> str:
    """Regions and quantiles: the real range, and each kind's mean and share of films within the range."""
    truth = np.stack([levels(film) for film in real])
    low, mid, high = np.nanpercentile(truth, (5, 50, 95), axis=0)
    ours = {kind: np.stack([levels(film) for film in films]) for kind, films in made.items()}
    lines = []
    for i, region in enumerate(REGIONS):
        for j, quantile in enumerate(QUANTILES):
            cells = [region, f"{quantile / 10 if i == 3 else quantile:g} %", f"{mid[i, j]:.2f}"]
            cells += [f"{low[i, j]:.2f} – {high[i, j]:.2f}"]
            for values in (values[:, i, j] for values in ours.values()):
                inside = np.nanmean((values >= low[i, j]) & (values <= high[i, j]))
                cells += [f"{np.nanmean(values):.2f}", f"{inside:.0%}"]
            lines.append(cells)
    head = ["region", "quantile", "real median", "real 5–95 %"]
    return table(head + [text for kind in made for text in (kind, "within")], lines)


# ---- features ----


def features(grey: Grey) -> list[NDArray[np.float64]]:
    """Groups of features of a square picture: histogram, bands, gradients, spectrum, layout."""
    flat = grey.ravel().astype(float)
    quantiles = np.percentile(flat, (1, 5, 10, 25, 50, 75, 90, 95, 99))
    histogram = np.r_[flat.mean(), flat.std(), stats.skew(flat), stats.kurtosis(flat), quantiles]
    blurred = [grey, *(ndimage.gaussian_filter(grey, sigma) for sigma in BANDS)]
    bands = [(a - b).ravel() for a, b in pairwise(blurred)]
    energy = [np.log(band.std() + 1e-4) for band in bands]
    tails = [np.log(stats.kurtosis(band, fisher=False) + 1e-6) for band in bands]
    layout = grey.reshape(8, SIDE // 8, 8, SIDE // 8).mean((1, 3))
    gradients = np.r_[gradient_features(blurred[1]), gradient_features(blurred[3])]
    return [histogram, np.r_[energy, tails], gradients, spectrum_features(grey), layout.ravel()]


def gradient_features(blurred: Grey) -> NDArray[np.float64]:
    """Size of gradients (mean, spread, large ones, in logarithms) and 8 shares of directions, weighted by size."""
    dv, du = np.gradient(blurred)
    size = np.hypot(du, dv)
    turn = (np.arctan2(dv, du) % np.pi / np.pi * 8).astype(int) % 8
    shares = np.bincount(turn.ravel(), size.ravel(), 8) / max(size.sum(), 1e-9)
    return np.r_[np.log([size.mean() + 1e-5, size.std() + 1e-5, np.percentile(size, 99) + 1e-5]), shares]


def spectrum_features(grey: Grey) -> NDArray[np.float64]:
    """Slope and height of the radial power spectrum's logarithm over 4 octaves, two octaves a piece."""
    window = np.hanning(SIDE)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window * window[:, None])) ** 2
    radial = radial_mean(power)
    found = []
    for first, last in ((SIDE // 32, SIDE // 8), (SIDE // 8, SIDE // 2)):
        f = np.arange(first, last)
        found += list(np.polyfit(np.log(f / np.sqrt(first * last)), np.log(radial[first:last] + 1e-9), 1))
    return np.array(found)


def radial_mean(power: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of a square spectrum over rings of one frequency step."""
    n = len(power)
    f = np.fft.fftfreq(n) * n
    ring = np.rint(np.hypot(f, f[:, None])).astype(int)
    return (np.bincount(ring.ravel(), power.ravel()) / np.bincount(ring.ravel()))[: n // 2 + 1]


class Space:
    """Features standardised by a set of films, cut off at 5 standard deviations, every group of the same weight."""

    def __init__(self, films: Sequence[Film]) -> None:
        raw = np.stack([np.concatenate(features(film.square)) for film in films])
        self._mean, self._scale = raw.mean(0), raw.std(0) + 1e-9
        groups = [len(group) for group in features(films[0].square)]
        self._weight = np.repeat(np.sqrt(sum(groups) / len(groups) / np.array(groups)), groups)
        self.reference = self._standard(raw)
        centred = self.reference - self.reference.mean(0)
        self._axes = np.linalg.svd(centred, full_matrices=False)[2][:COMPONENTS].T

    def __call__(self, films: Sequence[Film]) -> NDArray[np.float64]:
        """(n, d)."""
        return self._standard(np.stack([np.concatenate(features(film.square)) for film in films]))

    def reduced(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 12): along the principal axes of the reference, each of variance 1 there."""
        return found @ self._axes / (self.reference @ self._axes).std(0)

    def _standard(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip((raw - self._mean) / self._scale, -5, 5) * self._weight


# ---- distances ----


def frechet(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Fréchet distance of two normal distributions fitted to (n, d) each, their covariances shrunk."""
    ca, cb = shrunk_covariance(a), shrunk_covariance(b)
    values, vectors = np.linalg.eigh(ca)
    root = vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cb @ root), 0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * cross)


def shrunk_covariance(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance shrunk to a multiple of the identity by the oracle-approximating rule (Chen et al. 2010)."""
    n, d = x.shape
    sample = np.cov(x.T, bias=True)
    trace, square = np.trace(sample), (sample**2).sum()
    share = ((1 - 2 / d) * square + trace**2) / ((n + 1 - 2 / d) * (square - trace**2 / d) + 1e-12)
    share = min(1.0, share)
    return (1 - share) * sample + share * trace / d * np.eye(d)


def kernel_distance(
    a: NDArray[np.float64], b: NDArray[np.float64], counts_a: NDArray[np.int64], counts_b: NDArray[np.int64]
) -> float:
    """Unbiased squared MMD with the kernel (x·y/d + 1)³; films drawn repeatedly are not compared with themselves."""

    def mean(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
        return float(((x @ y.T / x.shape[1] + 1) ** 3 * weight).sum() / weight.sum())

    def pairs(counts: NDArray[np.int64]) -> NDArray[np.float64]:
        weight = np.outer(counts, counts).astype(float)
        np.fill_diagonal(weight, 0)
        return weight

    within = mean(a, a, pairs(counts_a)) + mean(b, b, pairs(counts_b))
    return within - 2 * mean(a, b, np.outer(counts_a, counts_b).astype(float))


def _distances(space: Space, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2,): Fréchet and kernel distance of films drawn as the rows of a and b, repetitions and all."""
    (ua, ca), (ub, cb) = (np.unique(x, axis=0, return_counts=True) for x in (a, b))
    return np.array([frechet(space.reduced(a), space.reduced(b)), kernel_distance(ua, ub, ca, cb)])


def real_draw(patients: NDArray[np.str_], n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of one film each of n patients."""
    chosen = rng.choice(np.unique(patients), n, replace=False)
    return np.array([rng.choice(np.flatnonzero(patients == name)) for name in chosen])


def distance_draws(
    space: Space, patients: NDArray[np.str_], truth: NDArray[np.float64], made: list[NDArray[np.float64]], seed: int
) -> NDArray[np.float64]:
    """(1 + resamples, rows, 2): distances to the real films; the first draw is of the films as they are.

    Rows: other real patients, two real films alone, every kind, plain less physics, physics over plain.
    """
    rng = np.random.default_rng(seed)
    n, m = len(made[0]), len(truth)
    draws = []
    for step in range(RESAMPLES + 1):
        pick, other = (rng.integers(n, size=n), rng.integers(m, size=m)) if step else (np.arange(n), np.arange(m))
        floor = space.reference[real_draw(patients, n, rng)]
        two = np.repeat(space.reference[real_draw(patients, 2, rng)], n // 2, axis=0)
        values = [_distances(space, x, truth[other]) for x in (floor, two, *(found[pick] for found in made))]
        draws.append([*values, values[3] - values[2], values[2] / values[3]])
    return np.array(draws)


def distance_table(
    space: Space, reference: list[Film], real: list[Film], made: dict[str, list[Film]], seed: int
) -> str:
    """Both distances to the real films, the floor, and what the physics changes, with 95 % bootstrap intervals."""
    patients = np.array([film.patient for film in reference])
    draws = distance_draws(space, patients, space(real), [space(films) for films in made.values()], seed)
    low, high = np.percentile(draws[1:], (2.5, 97.5), axis=0)
    shown = draws[0]
    shown[:2] = np.median(draws[1:, :2], axis=0)
    names = ["real, other patients", "real, two films alone", *made, "plain − physics", "physics / plain"]
    cells = [
        [name, *(f"{shown[i, j]:.3g} ({low[i, j]:.3g} – {high[i, j]:.3g})" for j in (0, 1))]
        for i, name in enumerate(names)
    ]
    return table(["to the real test split", "Fréchet", "kernel"], cells)


# ---- noise ----


def noise(film: Film) -> NDArray[np.float64]:
    """(1 + 8,): level (256ths of white) and power in 8 rings of the flattest patches.

    Level: the median absolute deviation, × 1.4826, of what a Gaussian of one pixel takes away. Power: mean periodogram
    of the patches (32 × 32, Hann, plane removed), from 0 to half a cycle a pixel. Patches: the tenth with the least
    gradient at 3 pixels, among those neither black nor white.
    """
    grey = film.grey * 255
    fine = grey - ndimage.gaussian_filter(grey, 1.0)
    steep = ndimage.gaussian_gradient_magnitude(grey, 3.0)
    patch, places = 32, []
    for v in range(8, grey.shape[0] - patch - 7, patch // 2):
        for u in range(8, grey.shape[1] - patch - 7, patch // 2):
            here = np.s_[v : v + patch, u : u + patch]
            if 0.15 * 255 < grey[here].min() and grey[here].max() < 0.97 * 255:
                places.append((float(steep[here].mean()), here))
    if len(places) < 10:
        return np.full(9, np.nan)
    places.sort(key=lambda place: place[0])
    flat = [here for _, here in places[: max(4, len(places) // 10)]]
    level = np.median([1.4826 * np.median(np.abs(fine[here] - np.median(fine[here]))) for here in flat])
    power = np.mean([_periodogram(grey[here]) for here in flat], 0)
    return np.r_[level, radial_mean(power)[:16].reshape(8, 2).mean(1)]


def _periodogram(patch: Grey) -> NDArray[np.float64]:
    n = len(patch)
    v, u = np.mgrid[:n, :n].reshape(2, -1) - (n - 1) / 2
    plane = np.stack([v, u, np.ones(n * n)], 1)
    rest = patch.ravel() - plane @ np.linalg.lstsq(plane, patch.ravel(), rcond=None)[0]
    window = np.outer(np.hanning(n), np.hanning(n))
    power: NDArray[np.float64] = np.abs(np.fft.fft2(rest.reshape(n, n) * window)) ** 2 / (window**2).sum()
    return power


def noise_table(real: list[Film], made: dict[str, list[Film]]) -> str:
    """Level and spectrum: the real range and the median of each kind."""
    truth = np.stack([noise(film) for film in real])
    low, mid, high = np.nanpercentile(truth, (5, 50, 95), axis=0)
    ours = [np.nanmedian(np.stack([noise(film) for film in films]), 0) for films in made.values()]
    names = ["level, 256ths", *(f"power, {i / 32:.2f}–{(i + 2) / 32:.2f} cycles/pixel" for i in range(0, 16, 2))]
    lines = [
        [name, f"{mid[i]:.2g}", f"{low[i]:.2g} – {high[i]:.2g}", *(f"{values[i]:.2g}" for values in ours)]
        for i, name in enumerate(names)
    ]
    return table(["flat patches", "real median", "real 5–95 %", *made], lines)


# ---- pages ----


def sheet(rows: list[list[Film]], path: Path, side: int) -> None:
    """Films in rows, each its middle square."""
    path.parent.mkdir(parents=True, exist_ok=True)
    width = max(map(len, rows))
    canvas = Image.new("L", (width * side, len(rows) * side))
    for i, row in enumerate(rows):
        for j, film in enumerate(row):
            tile = Image.fromarray(np.rint(film.square * 255).astype(np.uint8)).resize((side, side))
            canvas.paste(tile, (j * side, i * side))
    canvas.save(path, optimize=True)


def spread(films: list[Film], n: int) -> list[Film]:
    """Some films, evenly over the list."""
    return [films[i] for i in np.linspace(0, len(films) - 1, n).round().astype(int)]


def picture_rows(made: dict[str, list[Film]], n: int, real: list[Film] | None = None) -> list[list[Film]]:
    """For PA and for AP: the physics, real ones (NIH alone) where given, plain."""
    rows = []
    for view in ("PA", "AP"):
        physics, plain = ([film for film in made[kind] if film.view == view] for kind in ("physics", "plain"))
        nih = [film for film in real or [] if film.view == view and film.patient.startswith("nih")]
        rows += [spread(films, n) for films in (physics, nih, plain) if films]
    return rows


def report(real: list[Film], made: dict[str, list[Film]], seed: int) -> str:
    """All tables."""
    tuned, test = ([f for f in real if (f.split == "test") == flag] for flag in (False, True))
    masked = [film for film in real if film.lungs is not None]
    space = Space(tuned)
    n = len(made["physics"])
    parts = [
        f"Ours: {n} pictures a kind of {len(CTS)} CTs. Real: {len(real)} of adults, {len(test)} of them test; "
        f"with drawn lungs {len(masked)}, {sum(f.split == 'test' for f in masked)} of them test.",
        "Command: `python scripts/compare_real.py`",
        "### Grey levels of regions",
    ]
    for view in ("PA", "AP"):
        ours = {kind: [film for film in films if film.view == view] for kind, films in made.items()}
        parts += [f"{view}, real of all splits:", level_table([f for f in masked if f.view == view], ours)]
    parts += ["Both views, real of the test split:", level_table([f for f in masked if f.split == "test"], made)]
    parts += ["### Distances of features", distance_table(space, tuned, test, made, seed)]
    return "\n\n".join([*parts, "### Noise", noise_table(test, made), CREDIT])


def make(all_shots: Sequence[Shot], techniques: Callable[[str], Technique]) -> dict[str, list[Film]]:
    """Kind → films."""
    preset = {"PA": "chest-pa", "AP": "chest-ap-portable"}
    return {
        "physics": [shot.physics(techniques(preset[shot.view])) for shot in all_shots],
        "plain": [shot.plain() for shot in all_shots],
        "plain, processed": [shot.processed(techniques(preset[shot.view])) for shot in all_shots],
    }


def real_margins(real: list[Film]) -> dict[str, list[NDArray[np.float64]]]:
    """View → margins of the films that are not for testing."""
    used = [film for film in real if film.lungs is not None and film.split != "test"]
    known = [(film.view, Box.of(film.lungs).margins) for film in used]
    return {view: [margins for v, margins in known if v == view] for view in ("PA", "AP")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to put the tables in")
    parser.add_argument("--picture", type=Path, help="ours")
    parser.add_argument("--sheet", type=Path, help="ours beside real ones (NIH), larger")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    real = real_films(DATA / "cxr")
    made = make(list(shots(real_margins(real), options.seed)), technique)
    test = [film for film in real if film.split == "test"]
    if options.picture:
        sheet(picture_rows(made, 5), options.picture, 160)
    if options.sheet:
        sheet(picture_rows(made, 6, test), options.sheet, SIDE)
    text = report(real, made, options.seed)
    print(text)
    if options.output:
        replace_section(options.output, "compare_real", text)


if __name__ == "__main__":
    main()
