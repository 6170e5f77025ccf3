"""A phantom: the thorax of one person, drawn at any voxel size, with the masks of all that is in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.anatomy.abdomen import abdomen
from synth.anatomy.constitution import constitution
from synth.anatomy.frame import plan
from synth.anatomy.labels import LABELS, PARTS
from synth.anatomy.lungs import lungs
from synth.anatomy.mediastinum import mediastinum
from synth.anatomy.paint import Canvas, paint
from synth.anatomy.pulmonary import pulmonary_trees
from synth.anatomy.scan import Scan
from synth.anatomy.skeleton import skeleton
from synth.anatomy.tissue import mean_hu, tissue_of, tissues
from synth.anatomy.wall import wall
from synth.core.errors import InputError
from synth.core.seeds import sample_generator
from synth.core.volume import Labels, Volume
from synth.kernels.texture import texture

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from synth.anatomy.frame import Frame
    from synth.anatomy.person import Person
    from synth.anatomy.solids import Stroke
    from synth.anatomy.tissue import Tissue

__all__ = ["Phantom", "phantom"]

_SPACING_MM = (0.5, 5.0)
_MARGIN_MM = 10.0  # of air around the body
_COARSE_MM = 8.0  # lattice on which the outline is looked for
_REACH_MM = 480.0  # from the spine, beyond which no body extends


@dataclass(frozen=True, eq=False)
class Phantom:
    """The plan of one body, ready to be drawn.

    Attributes:
        person: Whose it is.
        frame: Bones and landmarks; `frame.build` has the measures.
        strokes: All that is painted, in order.
        tissues: What it is painted in.
        seed: Of the texture.
    """

    person: Person
    frame: Frame
    strokes: tuple[Stroke, ...]
    tissues: Mapping[str, Tissue]
    seed: int

    @cached_property
    def extent(self) -> NDArray[np.float64]:
        """(2, 3): lowest and highest x, y, z of the body between the neck and the loins, mm."""
        spine = self.frame.spine
        bottom, top = spine.z(15.0), spine.z(-1.9)
        half = int(np.ceil(_REACH_MM / _COARSE_MM))
        shape = (int(np.ceil((top - bottom) / _COARSE_MM)), 2 * half + 1, 2 * half + 1)
        canvas = Canvas.empty(shape, (-half * _COARSE_MM, -half * _COARSE_MM, bottom), _COARSE_MM)
        paint(canvas, (stroke for stroke in self.strokes if stroke.label == "skin"))
        inside = canvas.labels > 0
        x, y = (np.flatnonzero(inside.any(axis=axes)) for axes in ((0, 1), (0, 2)))
        ends = canvas.origin[:2, None] + _COARSE_MM * np.array([[x[0] - 1, x[-1] + 1], [y[0] - 1, y[-1] + 1]])
        return np.array([[*ends[:, 0], bottom], [*ends[:, 1], top]])

    def voxelise(
        self,
        *,
        spacing_mm: float | tuple[float, float, float] = 1.5,
        shape: tuple[int, int, int] | None = None,
        xp: Any = np,
        clock: dict[str, float] | None = None,
    ) -> Scan:
        """Draws the body.

        Args:
            spacing_mm: Voxel edges along x, y, z, 0.5 to 5 mm.
            shape: Voxels along z, y, x, about the middle of the chest; default: all of the body with a margin of air.
            xp: numpy or cupy: where to paint. The scan holds numpy arrays.
            clock: Gains the seconds spent, by part.

        Returns:
            CT, labels and parts. The world is the body's own: the middle of T8 is its origin.

        Raises:
            InputError: A voxel size that is not meant.
        """
        spacing = np.broadcast_to(np.asarray(spacing_mm, np.float64), (3,))
        low, high = _SPACING_MM
        if not ((spacing >= low) & (spacing <= high)).all():
            raise InputError(f"voxel edges must be {low:g} to {high:g} mm, got {spacing.tolist()}")
        box = self.extent + np.array([[-_MARGIN_MM, -_MARGIN_MM, 0], [_MARGIN_MM, _MARGIN_MM, 0]])
        if shape is None:
            nx, ny, nz = np.ceil((box[1] - box[0]) / spacing).astype(int).tolist()
            shape = (nz, ny, nx)
        # Every grid of one spacing is part of one lattice, whatever the posture.
        origin = np.round(box.mean(axis=0) / spacing - (np.array(shape[::-1]) - 1) / 2) * spacing
        canvas = Canvas.empty(shape, origin, spacing, xp)
        paint(canvas, self.strokes, clock=clock)
        self._texture(canvas)
        return _scan(canvas, supine=self.frame.build.supine)

    def _texture(self, canvas: Canvas) -> None:
        spread, length = np.zeros(256, np.float32), np.ones(256, np.float32)
        for label, value in LABELS.items():
            tissue = self.tissues[tissue_of(label)]
            spread[value], length[value] = tissue.texture_sd, tissue.correlation_mm
        texture(canvas.hu, canvas.labels, spread, length, self.seed, canvas.origin, canvas.spacing)


def phantom(
    person: Person,
    root_seed: int,
    sample_id: str | int,
    *,
    inspiration: float | None = None,
    arms_up: bool | None = None,
    supine: bool | None = None,
    phase: str = "none",
) -> Phantom:
    """The body of a person; every part has random numbers of its own, so that none depends on another's.

    Args:
        person: Whose body.
        root_seed: The run's seed.
        sample_id: Which body of the run.
        inspiration: See `constitution`.
        arms_up: See `constitution`.
        supine: See `constitution`.
        phase: Of the contrast medium, see synth.anatomy.tissue.
    """

    def numbers(purpose: str) -> np.random.Generator:
        return sample_generator(root_seed, sample_id, "phantom", purpose)

    build = constitution(person, numbers("constitution"), inspiration=inspiration, arms_up=arms_up, supine=supine)
    frame = plan(build)
    matter = tissues(build, phase, numbers("tissue"))
    hu = mean_hu(matter)
    chest = [*lungs(frame, hu, numbers("lungs")), *abdomen(frame, hu, numbers("abdomen"))]
    middle = mediastinum(frame, hu, numbers("mediastinum"))
    strokes = [
        *wall(frame, hu, numbers("wall")),
        *chest,
        *middle,
        *pulmonary_trees(frame, [*chest, *middle], hu, numbers("trees")),
        *skeleton(frame, hu, numbers("skeleton")),
    ]
    return Phantom(person, frame, tuple(strokes), matter, int(numbers("texture").integers(2**63)))


def _scan(canvas: Canvas, *, supine: bool) -> Scan:
    affine = np.diag([*canvas.spacing, 1.0])
    affine[:3, 3] = canvas.origin
    hu, labels, parts = (
        array if isinstance(array, np.ndarray) else array.get() for array in (canvas.hu, canvas.labels, canvas.parts)
    )
    values = np.clip(np.rint(hu, out=hu), -1024, 3071).astype(np.int16)
    return Scan(
        Volume(values, affine, "phantom"),
        Labels(labels, affine, {value: name for name, value in LABELS.items()}, "phantom"),
        Labels(parts, affine, {value: name for name, value in PARTS.items()}, "phantom"),
        supine=supine,
    )
