"""Frontal views of real CTs, as a film would be framed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from realism.films import DATA, LUNG_MM, Box, Film
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
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from synth.core.volume import Volume

    Mask = NDArray[np.bool_]

__all__ = ["CTS", "make", "real_margins", "shots"]

CTS = ("lidc_idri_0001", "lung_dx_a0001")
RAW_SIDE = 960  # short side of the panel's image that a picture is made from
SHADOW = 0.4  # line integral behind the body: 2 cm of water
LUNG_HU = -500  # air in the lung
PRESET = {"PA": "chest-pa", "AP": "chest-ap-portable"}


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
        return Film.of(picture, self.lungs, self.view, "ours", self.patient)


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
        for view, preset in PRESET.items():
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


def make(all_shots: Sequence[Shot]) -> dict[str, list[Film]]:
    """Kind → films."""
    return {
        "physics": [shot.physics(technique(PRESET[shot.view])) for shot in all_shots],
        "plain": [shot.plain() for shot in all_shots],
        "plain, processed": [shot.processed(technique(PRESET[shot.view])) for shot in all_shots],
    }


def real_margins(real: list[Film]) -> dict[str, list[NDArray[np.float64]]]:
    """View → margins of the films that are not for testing."""
    used = [film for film in real if film.lungs is not None and film.split != "test"]
    known = [(film.view, Box.of(film.lungs).margins) for film in used]
    return {view: [margins for v, margins in known if v == view] for view in ("PA", "AP")}
