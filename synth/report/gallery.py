"""Pictures of chosen samples, wherever their files lie: loose images, CTs with label maps, shards."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from synth.core.errors import InputError
from synth.metrics.images.files import is_volume
from synth.report.annotations import masks_of
from synth.report.pictures import Picture, picture_of_image, picture_of_volume
from synth.report.shards import read_members

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from synth.report.annotations import Masks
    from synth.report.contents import Row

__all__ = ["key_of", "pictures_of"]

_SUFFIXES = ("png", "dcm", "nii.gz", "total.nii.gz", "parts.nii.gz", "findings.nii.gz")


def key_of(row: Row) -> str:
    """The name of a sample's files, "00000042"."""
    return Path(row["file_name"]).name.partition(".")[0]


def pictures_of(root: Path, rows: Sequence[Row]) -> list[Picture]:
    """A picture of each row's sample.

    Args:
        root: The dataset's folder.
        rows: Rows of its metadata.csv, or of its rejected.csv with images that were kept.

    Raises:
        InputError: A file is missing or damaged.
    """
    annotations = root / "masks" / "annotations.json"
    loose = {row["file_name"] for row in rows if not row.get("shard")}
    masks = masks_of(annotations, loose) if loose and annotations.is_file() else {}
    packed = _packed(root, [row for row in rows if row.get("shard")])
    return [
        packed[row["file_name"]] if row.get("shard") else _loose(root, row, masks.get(row["file_name"], []))
        for row in rows
    ]


def _loose(root: Path, row: Row, masks: Masks) -> Picture:
    path = _inside(root, row["file_name"])
    if path.is_dir() or is_volume(path):
        maps = root / "masks" / path.parent.name
        return picture_of_volume(path, sorted(maps.glob(f"{key_of(row)}_*.nii.gz")))
    return picture_of_image(path, masks)


def _inside(root: Path, name: str) -> Path:
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise InputError(f"{root}: {name!r} lies outside the dataset")
    return path


def _packed(root: Path, rows: Sequence[Row]) -> dict[str, Picture]:
    """File name → picture, of samples in shards."""
    found = {}
    for shard in dict.fromkeys(row["shard"] for row in rows):
        names = {key_of(row): row["file_name"] for row in rows if row["shard"] == shard}
        for key, picture in _members(_inside(root, shard), names):
            found[names[key]] = picture
    missing = [row["file_name"] for row in rows if row["file_name"] not in found]
    if missing:
        raise InputError(f"{root}: {missing[0]} is not in its shard")
    return found


def _members(shard: Path, names: dict[str, str]) -> Iterator[tuple[str, Picture]]:
    with tempfile.TemporaryDirectory() as folder:
        for key, files, objects in read_members(shard, names, _SUFFIXES):
            image: Path | None = None
            maps = []
            for suffix, content in files.items():
                path = Path(folder) / f"{key}.{suffix}"
                path.write_bytes(content)
                if suffix in ("png", "dcm", "nii.gz"):
                    image = path
                else:
                    maps.append(path)
            if image is None:
                raise InputError(f"{shard}: {key} has no image")
            masks = [(one["category"], one["segmentation"]) for one in objects]
            yield key, picture_of_volume(image, maps) if is_volume(image) else picture_of_image(image, masks)
            for path in Path(folder).iterdir():
                path.unlink()
