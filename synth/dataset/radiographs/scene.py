"""A scene file: how radiographs are taken and what lies in the picture besides the CT.

    preset: chest-pa                  # see synth.drr.technique.PRESETS; or auto, random, mono
    technique:                        # what differs from the preset
      tube: {kvp: 110, filtration_mm: {aluminium: 3.0, copper: 0.2}}
      grid: "8:1"
    calibration: hu_density.csv       # columns hu, density
    origin: body                      # where positions count from: the body's middle, or the CT's world
    objects:
      - {object: central_venous_catheter, at: [-30, -40, 80]}
      - {mesh: plate.stl, material: titanium, at: [0, 60, 0], rotate_deg: [0, 0, 90]}
    inserts:
      - {ct: implant.nii.gz, at: [0, 0, 0], displace: true}

Paths are relative to the file. Objects and their keys are those of synth.drr.placing.place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.core.reading import file_stem, read_volume
from synth.core.seeds import sample_generator
from synth.core.values import known_keys, read_mapping
from synth.drr.assembly import Insert, Placed, place, pose
from synth.drr.technique import Technique
from synth.drr.tissue import Calibration, read_calibration

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

__all__ = ["Scene", "read_scene"]

_KEYS = ["preset", "technique", "calibration", "origin", "objects", "inserts"]
_INSERT_KEYS = ["ct", "at", "rotate_deg", "displace"]


@dataclass(frozen=True)
class Scene:
    """What a scene file says.

    Attributes:
        preset: Name of a technique, or None where the file names none.
        technique: What differs from it, see Technique.changed.
        calibration: What tissue a Hounsfield unit is.
        origin: "world" or "body": where the positions of objects and inserts count from.
        objects: What synth.drr.placing.place takes.
        inserts: Further volumes, and where.
        plain: The file's content, with names instead of paths.
        folder: What the paths of meshes are relative to.
    """

    preset: str | None = None
    technique: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration = field(default_factory=Calibration.schneider)
    origin: str = "world"
    objects: tuple[Mapping[str, Any], ...] = ()
    inserts: tuple[tuple[Insert, Mapping[str, Any]], ...] = ()
    plain: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = None

    def placed(self, origin: NDArray[Any], seed: int, case: int) -> tuple[tuple[Placed, ...], tuple[Insert, ...]]:
        """Objects and inserts in the world of one CT.

        Args:
            origin: (3,), where positions count from, world mm.
            seed: Root seed; what varies between specimens is drawn from it, the CT's number and the object's.
            case: Number of the CT.
        """
        objects = []
        for number, spec in enumerate(self.objects):
            generator = sample_generator(seed, case, "object", str(number))
            moved = {**spec, "at": [float(a + b) for a, b in zip(spec.get("at", (0, 0, 0)), origin, strict=True)]}
            objects.append(place(moved, generator=generator, folder=self.folder))
        inserts = []
        for insert, spec in self.inserts:
            at = [float(a + b) for a, b in zip(spec.get("at", (0, 0, 0)), origin, strict=True)]
            matrix = pose(at, spec.get("rotate_deg", (0, 0, 0)))
            inserts.append(Insert(insert.volume, matrix, displace=insert.displace))
        return tuple(objects), tuple(inserts)


def read_scene(path: Path) -> Scene:
    """Reads a scene file; everything in it is checked, objects are made once.

    Raises:
        InputError: The file is missing or no YAML, a key or value is unknown, or a file it names cannot be used.
    """
    content = read_mapping(path, "preset: chest-pa")
    try:
        return _scene(content, path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _scene(content: dict[str, Any], path: Path) -> Scene:
    known_keys(content, _KEYS, "scene")
    origin = content.get("origin", "world")
    if origin not in ("world", "body"):
        raise InputError(f"origin must be world or body, got {origin!r}")
    for key in ("objects", "inserts"):
        if not isinstance(content.get(key, []), list) or not all(
            isinstance(item, dict) for item in content.get(key, [])
        ):
            raise InputError(f"{key} must be a list of key: value pairs")
    changes = content.get("technique", {})
    Technique().changed(changes)
    for spec in content.get("objects", []):
        place(spec, folder=path.parent)
    calibration = content.get("calibration")
    return Scene(
        preset=content.get("preset"),
        technique=changes,
        calibration=read_calibration(path.parent / calibration) if calibration else Calibration.schneider(),
        origin=origin,
        objects=tuple(content.get("objects", [])),
        inserts=tuple(_insert(spec, path.parent) for spec in content.get("inserts", [])),
        plain=_without_paths(content),
        folder=path.parent,
    )


def _insert(spec: dict[str, Any], folder: Path) -> tuple[Insert, Mapping[str, Any]]:
    known_keys(spec, _INSERT_KEYS, "insert")
    if not isinstance(spec.get("ct"), str):
        raise InputError("an insert needs ct: a file or DICOM folder")
    displace = spec.get("displace", True)
    if not isinstance(displace, bool):
        raise InputError(f"insert {spec['ct']}: displace must be true or false, got {displace!r}")
    volume = read_volume(folder / spec["ct"])
    return Insert(volume, pose(spec.get("at", (0, 0, 0)), spec.get("rotate_deg", (0, 0, 0))), displace=displace), spec


def _without_paths(content: dict[str, Any]) -> dict[str, Any]:
    """The content with the names of files: a dataset tells nothing of the machine that made it."""

    def named(spec: dict[str, Any], key: str) -> dict[str, Any]:
        return {**spec, key: file_stem(Path(spec[key]))} if key in spec else spec

    plain = named(dict(content), "calibration")
    if "objects" in plain:
        plain["objects"] = [named(spec, "mesh") for spec in plain["objects"]]
    if "inserts" in plain:
        plain["inserts"] = [named(spec, "ct") for spec in plain["inserts"]]
    return plain
