"""The sources that a recipe can name. A kind is added here: a model of its options, put into `SourceSpec`.

Each model makes its source (synth.dataset.source.Source) by `source`; what is heavy is imported there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol, TypeAlias

from pydantic import Field

from synth.core.errors import InputError
from synth.core.strict import RecipePath, Strict
from synth.dataset.recipe.ct_spec import CtSpec
from synth.dataset.recipe.cxr_spec import CxrSpec
from synth.dataset.source import Medium, Source

if TYPE_CHECKING:
    from synth.dataset.patients.phantoms import Phantoms
    from synth.dataset.patients.structures import Masks
    from synth.dataset.patients.subject import Subjects
    from synth.dataset.radiographs.job import DrrJob
    from synth.dataset.request import Request

__all__ = ["AskedSource", "CtRadiographsSpec", "Frame", "PhantomRadiographsSpec", "PhantomScansSpec", "SourceSpec"]

_Four = tuple[float, float, float, float]
_Side = Annotated[int, Field(ge=1, le=2048)]
_Millimetres = Annotated[float, Field(gt=0)]


class AskedSource(Source, Protocol):
    """A source that can tell in advance what it cannot make."""

    def refuse(self, request: Request) -> None:
        """Refuses a request that no seed can satisfy.

        Raises:
            InputError: As said.
        """


@dataclass(frozen=True)
class Frame:
    """What a recipe says of the pictures of any source.

    Attributes:
        views: View names.
        shape: (h, w), pixels.
        masks: Which masks are wanted.
        given: Which of "views" and "size" the recipe names; the others are what is usual of radiographs.
    """

    views: tuple[str, ...]
    shape: tuple[int, int]
    masks: Masks
    given: frozenset[str] = frozenset()


class _Radiographs(Strict):
    """How radiographs are taken; see `synth drr --help` for each."""

    medium: ClassVar[Medium] = "image"
    technique: str = "auto"
    poses: int = Field(default=0, ge=0, description="Each view so often, posed at random; 0: once, as it fits.")
    scene: RecipePath | None = None
    backend: Literal["auto", "cpu", "cuda", "deepdrr"] = "auto"
    method: Literal["auto", "slices", "rays"] = "auto"
    model: Literal["trilinear", "box"] = "trilinear"
    energy_kev: float = 60.0
    source_detector_mm: _Millimetres | None = None
    source_isocentre_mm: _Millimetres | None = None
    field_of_view_mm: _Millimetres | None = None
    collimation_mm: _Four = Field(default=(0.0, 0.0, 0.0, 0.0), description="Left, right, top, bottom.")
    window: tuple[float, float] | None = None
    raw: bool = False

    def job(self, subjects: Subjects, frame: Frame) -> DrrJob:
        """The job of these patients."""
        from synth.dataset.radiographs.job import DrrJob
        from synth.dataset.radiographs.scene import Scene, read_scene
        from synth.drr.presentation import Collimation, Window

        scene = read_scene(self.scene) if self.scene else Scene()
        preset = scene.preset if scene.preset and "technique" not in self.model_fields_set else self.technique
        return DrrJob(
            subjects,
            views=frame.views,
            poses=self.poses,
            shape=frame.shape,
            energy_kev=self.energy_kev,
            backend=self.device,
            method=self.method,
            model=self.model,
            source_detector_mm=self.source_detector_mm,
            source_isocentre_mm=self.source_isocentre_mm,
            field_of_view_mm=self.field_of_view_mm,
            preset=preset,
            scene=scene,
            window=Window(*self.window) if self.window else None,
            collimation=Collimation(*self.collimation_mm),
            raw=self.raw,
        )

    @property
    def device(self) -> Literal["cpu", "cuda", "deepdrr"]:
        """Where to run; "auto" is decided here, so that all workers do the same."""
        from synth.drr.projector import choose_backend

        return choose_backend(self.backend)


class _People(Strict):
    """Who comes where a request leaves it open."""

    population: str = Field(default="default", description="default, healthy, or a table of labels.")
    sex: Literal["F", "M"] | None = None
    ages: tuple[float, float] | None = None
    race: str | None = None
    findings: str | None = Field(default=None, description="In words, or none.")
    voxel_mm: float = Field(default=2.0, ge=0.5, le=5.0)

    def phantoms(self, masks: Masks, folder: Path, *, on_gpu: bool = False) -> Phantoms:
        """The phantoms; a request changes their seed and what it asks for.

        Raises:
            InputError: The population's table cannot be read, or a finding is drawn in no body.
        """
        from synth.dataset.patients.phantoms import Phantoms
        from synth.dataset.sources.people import population
        from synth.dataset.sources.wishes import findings_in_words, refuse_findings

        findings = None if self.findings is None else findings_in_words(self.findings)
        refuse_findings(findings or (), "source.findings")
        return Phantoms(
            1,
            sex=self.sex,
            ages=self.ages,
            race=self.race,
            findings=findings,
            spacing_mm=self.voxel_mm,
            masks=masks,
            on_gpu=on_gpu,
            **population(self.population, folder / self.population),
        )


class PhantomRadiographsSpec(_Radiographs, _People):
    """Radiographs of phantoms."""

    kind: Literal["phantom"]

    def source(self, frame: Frame, folder: Path) -> AskedSource:
        """The source; `folder` is the recipe's."""
        from synth.dataset.sources.phantom_radiographs import PhantomRadiographs

        people = self.phantoms(frame.masks, folder, on_gpu=self.device == "cuda")
        return PhantomRadiographs(people, self.job(people, frame))


class CtRadiographsSpec(_Radiographs):
    """Radiographs of CTs in files."""

    kind: Literal["drr"]
    cts: list[RecipePath] = Field(default=[], description="Files and DICOM folders; * and ? stand for names.")
    labels: list[RecipePath] = Field(default=[], description="A label map for each CT, in the same order.")
    table: RecipePath | None = Field(default=None, description="CSV instead: ct, labels, sex, age, race.")
    age_within: float = Field(default=5.0, ge=0, description="Years by which a plan's age may be missed.")
    label_names: RecipePath | None = None
    findings: str | None = Field(default=None, description="What to put into every CT, in words.")
    couch: bool = True
    check_hu: bool = True

    def source(self, frame: Frame, folder: Path) -> AskedSource:
        """The source; its paths are placed already.

        Raises:
            InputError: No CT, as many label maps as do not fit, or a table that cannot be used.
        """
        from synth.dataset.patients.ct_files import CtFiles
        from synth.dataset.sources.ct_radiographs import CtRadiographs
        from synth.dataset.sources.ct_table import CtTable, read_ct_table
        from synth.dataset.sources.wishes import findings_in_words, refuse_findings

        if self.table is not None and (self.cts or self.labels):
            raise InputError("source: give cts and labels, or a table of them")
        table = read_ct_table(self.table) if self.table else CtTable(_found(self.cts), _found(self.labels), ())
        if not table.cts:
            raise InputError("source.cts is missing: name CT files or DICOM folders, or give a table")
        findings = findings_in_words(self.findings) if self.findings else ()
        refuse_findings(findings, "source.findings")
        files = CtFiles(
            table.cts,
            table.labels,
            self.label_names,
            masks=frame.masks,
            couch=self.couch,
            check_hu=self.check_hu,
            findings=findings,
            named=False,
        )
        return CtRadiographs(files, self.job(files, frame), table.people, self.age_within)


class PhantomScansSpec(_People):
    """Phantoms as CTs."""

    medium: ClassVar[Medium] = "volume"
    kind: Literal["phantom-ct"]
    voxels: tuple[_Side, _Side, _Side] | None = Field(default=None, description="Along x, y, z; default: the body.")
    supine: bool = True
    phase: Literal["none", "arterial", "portal", "pulmonary"] = "none"
    kernel: Literal["ideal", "soft", "standard", "sharp"] = "ideal"
    mas: float = 200.0

    def source(self, frame: Frame, folder: Path) -> AskedSource:
        """The source; `folder` is the recipe's."""
        from synth.anatomy.scanner import Scanner
        from synth.dataset.phantom_scans import PhantomJob
        from synth.dataset.sources.phantom_scans import PhantomScans
        from synth.drr.ct_dose import Protocol

        job = PhantomJob(
            self.phantoms(frame.masks, folder),
            supine=self.supine,
            phase=self.phase,
            shape=None if self.voxels is None else (self.voxels[2], self.voxels[1], self.voxels[0]),
            scanner=None if self.kernel == "ideal" else Scanner(Protocol(mas=self.mas, kernel=self.kernel)),
        )
        return PhantomScans(job)


SourceSpec: TypeAlias = Annotated[
    PhantomRadiographsSpec | CtRadiographsSpec | PhantomScansSpec | CxrSpec | CtSpec, Field(discriminator="kind")
]
"""Any of them, told apart by `kind`."""


def _found(paths: list[Path]) -> tuple[Path, ...]:
    """The paths, those with * or ? replaced by what they stand for, in order of name.

    Raises:
        InputError: One stands for nothing.
    """
    every: list[Path] = []
    for path in paths:
        if path.exists() or not any(sign in str(path) for sign in "*?"):
            every.append(path)
            continue
        root = Path(path.anchor)
        found = sorted(root.glob(str(path.relative_to(root))))
        if not found:
            raise InputError(f"{path}: stands for no file")
        every += found
    return tuple(every)
