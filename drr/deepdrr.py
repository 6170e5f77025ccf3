"""The same scene through DeepDRR (Unberath et al. 2018, MICCAI, LNCS 11073:98), where the package and a GPU exist.

An adapter to the public interface of the separate package `deepdrr` (1.2), which is loaded only when used. Its world
is ours, LPS in mm. Its pixel (u, v) is centred at (u + ½, v + ½), and some of its code takes K[1, 1] for positive: a
picture that is mirrored to the source is rendered upside down and turned back. Rays do not end at the detector: matter
behind it counts. Tissue is what DeepDRR's own thresholds make of HU (air, soft tissue, bone) with our density.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.drr.materials import ENERGY_KEV
from synth.drr.tissue import Calibration, channel_attenuation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synth.core.volume import Volume
    from synth.drr.geometry import Camera
    from synth.drr.spectrum import Spectrum

__all__ = ["DeepBody", "available", "intrinsics", "plain_spectrum"]

_SOFT_HU, _BONE_HU = -800, 350  # where DeepDRR's thresholding begins soft tissue and bone
_MATERIALS = {"air": 0, "soft tissue": 1, "bone": 2}
_PAIR_KEV = (50.0, 100.0)  # energies that tell the two channels of tissue apart


def available() -> str:
    """Why DeepDRR cannot be used here; empty where it can."""
    if importlib.util.find_spec("deepdrr") is None:
        return "package deepdrr is not installed; give it an environment of its own (numpy < 2, a GPU), see the docs"
    try:
        import cupy

        if not cupy.cuda.is_available():
            return "no GPU was found, which it needs"
        importlib.import_module("deepdrr")
    except Exception as error:  # what a foreign package or a driver raises at import
        return f"the package deepdrr does not load ({type(error).__name__}: {error})"
    return ""


def plain_spectrum(spectrum: Spectrum) -> NDArray[np.float64]:
    """A spectrum as DeepDRR takes it: (n, 2), photon energy in eV and relative number."""
    used = spectrum.fluence > 0
    return np.stack([ENERGY_KEV[used] * 1000, spectrum.fluence[used]], axis=1)


def intrinsics(camera: Camera) -> tuple[NDArray[np.float64], bool]:
    """K with pixel centres at halves and K[1, 1] positive, (3, 3), and whether the rows then run from last to first."""
    K = camera.K
    K[:2, 2] += 0.5
    mirrored = bool(K[1, 1] < 0)
    if mirrored:  # v → h − v
        K[1] = np.array([0, 0, camera.shape[0]]) - K[1]
    return K, mirrored


class DeepBody:
    """A CT, ready for DeepDRR."""

    def __init__(
        self, volume: Volume, calibration: Calibration | None = None, displaced: NDArray[np.float32] | None = None
    ) -> None:
        """Takes over a volume.

        Args:
            volume: The CT.
            calibration: Density by HU; default: Schneider's.
            displaced: (z, y, x), 0 to 1, fraction of every voxel that is not tissue.

        Raises:
            InputError: DeepDRR cannot be used here.
        """
        if why := available():
            raise InputError(f"backend deepdrr: {why}")
        self._deepdrr: Any = importlib.import_module("deepdrr")
        calibration = calibration or Calibration.schneider()
        density = np.empty(volume.shape, np.float32)
        for plane, hu in zip(density, volume.hu, strict=True):
            plane[...] = calibration.density_at(hu.astype(np.float64))
        if displaced is not None:
            density *= 1 - displaced
        matter = (volume.hu > _SOFT_HU).astype(np.uint16) + (volume.hu > _BONE_HU)
        self._volume = self._deepdrr.Volume(
            data=density.transpose(2, 1, 0),
            materials=(dict(_MATERIALS), matter.transpose(2, 1, 0)),
            anatomical_from_IJK=self._deepdrr.geo.FrameTransform(volume.affine),
            anatomical_coordinate_system="LPS",
        )

    def intensity(
        self, cameras: Sequence[Camera], spectrum: NDArray[np.float64] | str, *, photon_count: int | None = None
    ) -> NDArray[np.float32]:
        """Mean energy that a photon leaves in every pixel.

        Args:
            cameras: Views of one image size.
            spectrum: (n, 2), eV and relative number, see `plain_spectrum`; or a name: "60KV_AL35", "90KV_AL40",
                "120KV_AL43".
            photon_count: Photons of a pixel without a patient, for DeepDRR's noise; None for no noise.

        Returns:
            (V, h, w), keV, rows and columns as the cameras have them.
        """
        images = np.empty((len(cameras), *cameras[0].shape), np.float32)
        noise = {} if photon_count is None else {"add_noise": True, "photon_count": photon_count}
        for image, camera in zip(images, cameras, strict=True):
            projection, mirrored = self._projection(camera)
            with self._deepdrr.Projector(
                self._volume,
                camera_intrinsics=projection.index_from_camera2d,
                source_to_detector_distance=camera.source_detector_mm,
                spectrum=spectrum,
                neglog=False,
                **noise,
            ) as projector:
                rendered = np.asarray(projector(projection))
            image[...] = rendered[::-1] if mirrored else rendered
        return images

    def line_integrals(self, cameras: Sequence[Camera], energy_kev: float) -> NDArray[np.float32]:
        """−ln of the transmission at one energy: (V, h, w), dimensionless."""
        seen = self.intensity(cameras, np.array([[energy_kev * 1000, 1.0]])) / np.float32(energy_kev)
        integrals: NDArray[np.float32] = -np.log(np.maximum(seen, np.finfo(np.float32).tiny))
        return integrals

    def tissue_integrals(self, cameras: Sequence[Camera]) -> NDArray[np.float32]:
        """Line integrals of the channels of synth.drr.tissue that attenuate as DeepDRR says at 50 and 100 keV.

        Returns:
            (V, 2, h, w), mm·g/cm³.
        """
        pair = np.stack([self.line_integrals(cameras, energy) for energy in _PAIR_KEV], axis=1)
        unmixed = np.linalg.inv(np.stack([channel_attenuation(energy) for energy in _PAIR_KEV]))
        channels: NDArray[np.float32] = np.einsum("ce,vehw->vchw", unmixed, pair).astype(np.float32)
        return channels

    def _projection(self, camera: Camera) -> tuple[Any, bool]:
        geo = self._deepdrr.geo
        K, mirrored = intrinsics(camera)
        height, width = camera.shape
        intrinsic = geo.CameraIntrinsicTransform(K, sensor_height=height, sensor_width=width)
        return geo.CameraProjection(intrinsic, geo.FrameTransform(camera.world_to_camera)), mirrored
