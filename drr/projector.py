"""From a CT and its label map to line integrals and to the thickness of every structure, for any number of views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume, same_grid
from synth.drr.attenuation import stored_attenuation, water_attenuation
from synth.drr.body import body_outline, volume_corners
from synth.drr.deepdrr import DeepBody, available
from synth.drr.tissue import channel_attenuation, stored_channels
from synth.kernels.project import Method, Model, prepare, project, project_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from synth.drr.geometry import Camera
    from synth.drr.tissue import Calibration

__all__ = ["Backend", "Projector", "Radiograph", "choose_backend"]

Backend: TypeAlias = Literal["auto", "cpu", "cuda", "deepdrr"]


@dataclass(frozen=True, eq=False)
class Radiograph:
    """What one view of one body gives.

    Attributes:
        camera: The view.
        line_integral: (h, w) float32, ∫μ dl, dimensionless: −log of the transmission.
        thickness: Structure → (h, w) float32, mm along each ray; structures the view does not meet are left out.
    """

    camera: Camera
    line_integral: NDArray[np.float32]
    thickness: dict[str, NDArray[np.float32]]

    def masks(self, *, min_thickness_mm: float = 0.0) -> dict[str, NDArray[np.bool_]]:
        """Structure → (h, w) bool, where its thickness exceeds `min_thickness_mm`; structures may overlap."""
        masks = {name: thickness > min_thickness_mm for name, thickness in self.thickness.items()}
        return {name: mask for name, mask in masks.items() if mask.any()}


class Projector:
    """Projects one body.

    The volume is laid out for the kernels once; every call uses it again.

    Attributes:
        corners: (8, 3), corners of the volume, world mm.
        outline: (n, 3), points whose convex hull holds the body, world mm.
    """

    def __init__(
        self,
        volume: Volume,
        labels: Labels | Sequence[Labels] = (),
        *,
        calibration: Calibration | None = None,
        energy_kev: float = 60.0,
        backend: Backend = "auto",
        method: Method = "auto",
        model: Model = "trilinear",
        displaced: NDArray[np.float32] | None = None,
    ) -> None:
        """Prepares the volume.

        Args:
            volume: The CT.
            labels: Structures to project, one map or several, on the CT's grid; names must differ.
            calibration: What tissue a Hounsfield unit is, for `tissue_integrals`; None takes HU for attenuation at one
                energy, which needs half the memory and half the time.
            energy_kev: Photon energy of `line_integrals`.
            backend: Where to run: "cuda" needs a GPU and CuPy, "auto" takes it where present; "deepdrr" takes line
                integrals from that package, without `method` and `model`.
            method: See synth.kernels.project.
            model: See synth.kernels.project.
            displaced: (z, y, x), 0 to 1, fraction of every voxel that is not tissue; see synth.drr.assembly.

        Raises:
            InputError: Labels on another grid, an energy out of range, or no GPU or package where one is asked for.
        """
        maps = (labels,) if isinstance(labels, Labels) else tuple(labels)
        for one in maps:
            if not same_grid(volume, one):
                raise InputError(f"{one.name}: the label map is not on the grid of {volume.name}")
        self.corners, self.outline = volume_corners(volume), body_outline(volume)
        self._method, self._model = method, model
        self._calibration = calibration
        self._energy_kev, self._at_energy = energy_kev, channel_attenuation(energy_kev)
        chosen = choose_backend(backend)
        to_device = _device_array(chosen)
        cut = [(one, *_cut(_consecutive(one), one.affine)) for one in maps if one.names]
        self._maps = [(one, to_device(array), affine) for one, array, affine in cut]
        self._deep = DeepBody(volume, calibration, displaced) if chosen == "deepdrr" else None
        if self._deep is not None:
            return
        if calibration is None:
            stored, self._scale = stored_attenuation(volume.hu), np.array([water_attenuation(energy_kev) / 1000])
            if displaced is not None:
                stored = (stored * (1 - displaced)).astype(np.float32)
        else:
            stored, self._scale = stored_channels(volume.hu, calibration, displaced)
        self._volume = prepare(to_device(stored), volume.affine)

    def line_integrals(self, cameras: Sequence[Camera]) -> NDArray[np.float32]:
        """∫μ dl along every ray at one energy: (V, h, w), dimensionless; all cameras of one size.

        Raises:
            InputError: A camera whose source lies inside the volume or whose detector the volume's shadow misses, or
                that `method` cannot serve.
        """
        if self._calibration is None:
            return self._project(cameras)[:, 0]
        both = self._project(cameras)
        combined: NDArray[np.float32] = np.einsum("vchw,c->vhw", both, self._at_energy.astype(np.float32))
        return combined

    def tissue_integrals(self, cameras: Sequence[Camera]) -> NDArray[np.float32]:
        """Line integrals of the two channels of synth.drr.tissue: (V, 2, h, w), mm·g/cm³; needs a calibration.

        Raises:
            InputError: As `line_integrals`.
        """
        if self._calibration is None:
            raise InputError("tissue integrals need a calibration: make the Projector with one")
        return self._project(cameras)

    def _project(self, cameras: Sequence[Camera]) -> NDArray[np.float32]:
        self.check(cameras)
        packed, shape = _packed(cameras)
        if self._deep is not None:
            if self._calibration is None:
                return self._deep.line_integrals(cameras, self._energy_kev)[:, None]
            return self._deep.tissue_integrals(cameras)
        try:
            images = project(self._volume, packed, shape, method=self._method, model=self._model)
        except ValueError as error:  # the method cannot serve the model, or one of the cameras
            raise InputError(str(error)) from error
        for channel, scale in enumerate(self._scale):
            images[:, channel] *= np.float32(scale)
        return _to_host(images)

    def thickness(self, camera: Camera) -> dict[str, NDArray[np.float32]]:
        """Structure → (h, w), mm along each ray, for the structures that the view meets."""
        if not self._maps:
            return {}
        self.check([camera])
        packed, shape = _packed([camera])
        met: dict[str, NDArray[np.float32]] = {}
        for labels, array, affine in self._maps:
            names = [labels.names[label] for label in sorted(labels.names)]
            lengths = project_labels(array, affine, packed, shape, len(names) + 1)[0, 1:]
            seen = _to_host(lengths.max(axis=(1, 2)) > 0)
            met |= {name: _to_host(lengths[i]) for i, name in enumerate(names) if seen[i]}
        return met

    def radiographs(self, cameras: Sequence[Camera]) -> list[Radiograph]:
        """Line integrals and structures of every view."""
        integrals = self.line_integrals(cameras)
        return [
            Radiograph(camera, image, self.thickness(camera)) for camera, image in zip(cameras, integrals, strict=True)
        ]

    def meets(self, camera: Camera) -> bool:
        """Whether the camera's beam meets the volume."""
        return _meets(camera, self.corners)

    def check(self, cameras: Sequence[Camera]) -> None:
        """Refuses cameras that cannot see the volume; projecting does so, too.

        Raises:
            InputError: A camera whose source lies inside the volume or whose detector the volume's shadow misses.
        """
        for camera in cameras:
            _check_sees(camera, self.corners)


def choose_backend(backend: Backend) -> Literal["cpu", "cuda", "deepdrr"]:
    """Where to run: "auto" is "cuda" where CuPy finds a GPU, else "cpu".

    Raises:
        InputError: "cuda" without CuPy or without a GPU, "deepdrr" without that package, or an unknown name.
    """
    if backend not in ("auto", "cpu", "cuda", "deepdrr"):
        raise InputError(f"backend must be auto, cpu, cuda or deepdrr, got {backend!r}")
    if backend == "deepdrr":
        if why := available():
            raise InputError(f"backend deepdrr: {why}")
        return "deepdrr"
    if backend == "cpu":
        return "cpu"
    try:
        import cupy

        found = bool(cupy.cuda.is_available())
    except ImportError:
        found = False
    if backend == "cuda" and not found:
        raise InputError("backend cuda: no GPU with CuPy was found; install radsynth[cuda], or use --backend cpu")
    return "cuda" if found else "cpu"


def _consecutive(labels: Labels) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """The map with its named labels numbered 1, 2, …: each number costs an image, labels as high as 65535 do occur."""
    values = sorted(labels.names)
    numbers = np.arange(1, len(values) + 1)
    if np.array_equal(values, numbers):
        return labels.array
    table = np.zeros(65536, np.uint16)
    table[values] = numbers
    return table.astype(np.uint8)[labels.array] if len(values) < 256 else table[labels.array]


def _cut(array: NDArray[np.uint8] | NDArray[np.uint16], affine: NDArray[np.float64]) -> tuple[Any, NDArray[np.float64]]:
    """The part of a map that holds labels, and its affine: rays walk through nothing else."""
    ends = [np.flatnonzero(array.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not all(len(one) for one in ends):
        return array, affine
    z, y, x = (slice(int(one[0]), int(one[-1]) + 1) for one in ends)
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ [x.start, y.start, z.start]
    return np.ascontiguousarray(array[z, y, x]), moved


def _packed(cameras: Sequence[Camera]) -> tuple[NDArray[np.float64], tuple[int, int]]:
    if not cameras or len({camera.shape for camera in cameras}) != 1:
        raise InputError("cameras of one call must be at least one and all of one image size")
    return np.stack([camera.packed for camera in cameras]), cameras[0].shape


def _check_sees(camera: Camera, corners: NDArray[np.float64]) -> None:
    """Refuses a source inside the volume's box, and a detector that its shadow misses."""
    low, high = corners.min(0), corners.max(0)
    if ((camera.source > low) & (camera.source < high)).all():
        raise InputError(f"view {camera.name}: the source is inside the volume; move it farther away (--sid, --sdd)")
    if not _meets(camera, corners):
        raise InputError(f"view {camera.name}: the detector misses the volume; check its position and size")


def _meets(camera: Camera, corners: NDArray[np.float64]) -> bool:
    """Whether the beam between source and detector meets the box."""
    # corner = source + u·du + v·dv + depth·(origin − source): the beam's sides are planes in (u, v, depth).
    axes = np.stack([camera.du, camera.dv, camera.origin - camera.source], axis=1)
    u, v, depth = np.linalg.solve(axes, (corners - camera.source).T)
    h, w = camera.shape
    beside = (u + 0.5 * depth, (w - 0.5) * depth - u, v + 0.5 * depth, (h - 0.5) * depth - v)
    return not any((side <= 0).all() for side in (*beside, depth, 1 - depth))


def _device_array(backend: Literal["cpu", "cuda", "deepdrr"]) -> Any:
    if backend != "cuda":
        return np.asarray
    import cupy

    return cupy.asarray


def _to_host(array: Any) -> NDArray[Any]:
    return array if isinstance(array, np.ndarray) else array.get()
