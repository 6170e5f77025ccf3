"""The images of a dataset whose samples are all written, loose or packed, as a set that scores look at."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.core.reading import read_volume
from synth.metrics.extractors.protocol import import_optional
from synth.metrics.images.files import Decoded, read_file
from synth.metrics.images.sets import ImageSet
from synth.metrics.images.sources import Entry, FileSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from synth.dataset.folder import DatasetFolder
    from synth.dataset.packing import Packer
    from synth.metrics.images.sources import Source

__all__ = ["dataset_images"]


@dataclass(frozen=True)
class _SeriesSource:
    """A CT in a folder of DICOM slices."""

    folder: Path

    def read(self) -> Decoded:
        """The CT."""
        volume = read_volume(self.folder)
        spacing = tuple(float(mm) for mm in volume.spacing[::-1])
        return Decoded(volume.hu, volume.warnings, spacing, volume)


@dataclass(frozen=True)
class _TarSource:
    """An image within a tar file."""

    path: Path
    name: str
    offset: int
    size: int

    def read(self) -> Decoded:
        """The image."""
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            return _decoded(stream.read(self.size), self.name)


@dataclass(frozen=True)
class _ParquetSource:
    """An image within a Parquet file."""

    path: Path
    name: str
    column: str
    group: int
    row: int

    def read(self) -> Decoded:
        """The image."""
        return _decoded(_group(self.path, self.column, self.group)[self.row], self.name)


def dataset_images(folder: DatasetFolder, resize: Any = None) -> ImageSet:
    """All images of a dataset that is merged; nothing is decoded yet.

    Args:
        folder: The dataset.
        resize: As `ImageSet.open` has it.

    Returns:
        The set, with the columns "view" and, where cases have several images, "patient_id".

    Raises:
        InputError: There is none, or a shard cannot be read.
    """
    sources = _loose(folder) if folder.packer is None else _packed(folder.packer, folder.root)
    told = [_told(head["row"]) for _, head in folder.heads() if "row" in head]
    if not told:
        raise InputError(f"{folder.root}: no sample was accepted")
    several = len({case for _, _, case in told}) < len(told)
    entries = tuple(
        Entry(name, source, {"view": view} | ({"patient_id": case} if several else {}))
        for (name, view, case), source in zip(told, sources, strict=True)
    )
    size = (resize, resize) if isinstance(resize, int) else resize
    return ImageSet("the dataset", entries, None, size)


def _told(row: Mapping[str, str]) -> tuple[str, str, str]:
    """Name, view and case: the rest of a row, its report and verdicts, may be long."""
    return row["file_name"], row["view"], row.get("case") or row["file_name"]


def _loose(folder: DatasetFolder) -> Iterator[Source]:
    for _, head in folder.heads():
        if "row" in head:
            path = folder.root / head["row"]["file_name"]
            yield FileSource(path) if folder.files.suffix else _SeriesSource(path)


def _packed(packer: Packer, root: Path) -> Iterator[Source]:
    for number in range(packer.n_shards):
        path, suffix = root / packer.name(number), packer.files.suffix
        if path.is_file():
            yield from _in_tar(path, suffix) if packer.shards.kind == "webdataset" else _in_parquet(path, suffix)


def _in_tar(path: Path, suffix: str) -> Iterator[Source]:
    with tarfile.open(path) as archive:
        for member in archive:
            key, _, rest = member.name.partition(".")
            if f".{rest}" == suffix:
                yield _TarSource(path, f"{key}{suffix}", member.offset_data, member.size)


def _in_parquet(path: Path, suffix: str) -> Iterator[Source]:
    parquet = _parquet()
    column = "image" if suffix == ".png" else suffix.removeprefix(".").replace(".", "_")
    with parquet.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            for row in range(file.metadata.row_group(group).num_rows):
                yield _ParquetSource(path, f"image{suffix}", column, group, row)


@lru_cache(maxsize=2)
def _group(path: Path, column: str, group: int) -> list[bytes]:
    """The images of one row group: a set is read from its first image to its last."""
    with _parquet().ParquetFile(path) as file:
        cells = file.read_row_group(group, columns=[column]).column(column).to_pylist()
    return [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]


def _parquet() -> Any:
    return import_optional("pyarrow.parquet", "Parquet", ["pyarrow"])


def _decoded(content: bytes, name: str) -> Decoded:
    with TemporaryDirectory(prefix="synth-") as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        return read_file(path)
