"""Where the images of a set come from: folders, tables, files, arrays."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from synth.core.errors import InputError
from synth.metrics.images.files import Decoded, is_picture, is_volume, narrow, read_file, to_grey
from synth.metrics.images.tables import missing_message, read_table, table_paths

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["ArraySource", "Entry", "FileSource", "ImageSource", "Listing", "Source", "list_images"]

ImageSource: TypeAlias = "str | Path | NDArray[Any] | Sequence[NDArray[Any]] | Sequence[str | Path]"
"""A folder, a table, a file, one array of images, several arrays, or several files."""

_READABLE = "PNG, JPEG, TIFF, BMP, DICOM, NIfTI, MHA or NRRD"


class Source(Protocol):
    """What can be decoded to an image."""

    def read(self) -> Decoded:
        """The image."""


@dataclass(frozen=True)
class FileSource:
    """An image in a file."""

    path: Path

    def read(self) -> Decoded:
        """The image; see `read_file`."""
        return read_file(self.path)


@dataclass(frozen=True, eq=False)
class ArraySource:
    """An image in memory or in a memory map: (h, w), (h, w, 3), (3, h, w), or a volume (z, y, x)."""

    array: NDArray[Any]
    what: str
    volume: bool = False

    def read(self) -> Decoded:
        """The image, colour brought to grey; a volume as int16 or float32."""
        if self.volume:
            return Decoded(_volume_values(np.asarray(self.array), self.what))
        array = np.ascontiguousarray(narrow(np.asarray(self.array), self.what))
        if array.ndim == 2:
            return Decoded(array)
        if array.shape[0] in (1, 3) and array.shape[2] not in (1, 3, 4):
            array = np.moveaxis(array, 0, 2)
        return Decoded(np.ascontiguousarray(array[..., 0])) if array.shape[2] == 1 else Decoded(*to_grey(array))


@dataclass(frozen=True)
class Entry:
    """One image of a set.

    Attributes:
        name: Relative path, or position in an array ("image 12").
        source: What decodes it.
        row: Its row of the table, column → cell.
    """

    name: str
    source: Source
    row: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Listing:
    """The images found.

    Attributes:
        name: What to call the set.
        entries: Images, in order.
        root: The folder that names are relative to, where there is one.
        masks: (n, …) masks that came with the images in an .npz file.
    """

    name: str
    entries: tuple[Entry, ...]
    root: Path | None = None
    masks: NDArray[Any] | None = None


def list_images(
    source: ImageSource, *, column: str | None = None, volumes: bool | None = None, missing_ok: bool = False
) -> Listing:
    """Finds the images of a set, without decoding them.

    Args:
        source: A folder with metadata.csv, which decides; else with images/ and masks/; else any folder, searched
            recursively. A CSV or TSV table. An .npy file (n, h, w) or an .npz file with "images", perhaps "masks", and
            columns (n,). One image or volume file, or several. Arrays (n, h, w), (n, h, w, 3) or (n, 3, h, w), or
            a sequence of such images; whole numbers.
        column: The table's column of paths.
        volumes: Whether arrays are volumes (z, y, x); default: arrays (n, z, y, x) that cannot be colour are.
        missing_ok: Whether a table may list files that are not there.

    Raises:
        InputError: Nothing there, nothing that can be read, or arrays of the wrong shape.
    """
    if isinstance(source, str | PurePath):
        return _from_path(Path(source), column, volumes, missing_ok=missing_ok)
    if isinstance(source, Sequence) and source and all(isinstance(one, str | PurePath) for one in source):
        return _from_files([Path(str(one)) for one in source])
    if hasattr(source, "__array__") or isinstance(source, Sequence):
        return Listing("arrays", _from_arrays(source, "arrays", volumes))
    raise InputError(f"cannot make an image set of {type(source).__name__}; pass a folder, a table, files or arrays")


def _from_path(path: Path, column: str | None, volumes: bool | None, *, missing_ok: bool) -> Listing:
    if not path.exists():
        raise InputError(f"{path}: no such file or folder")
    if path.is_dir():
        table = path / "metadata.csv"
        if not table.is_file():
            return _from_folder(path)
        path = table
    suffix = path.suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _from_table(path, column, missing_ok=missing_ok)
    if suffix in (".npy", ".npz"):
        return _from_numpy(path, volumes)
    return _from_files([path])


def _from_folder(folder: Path) -> Listing:
    inner = folder / "images" if (folder / "images").is_dir() and (folder / "masks").is_dir() else folder
    found = sorted((str(path.relative_to(inner).as_posix()), path) for path in _files(inner))
    entries = tuple(Entry(name, FileSource(path)) for name, path in found)
    if not entries:
        there = any(folder.iterdir())
        raise InputError(f"{folder}: {f'no {_READABLE} files in it' if there else 'the folder is empty'}")
    return Listing(folder.resolve().name, entries, folder)


def _files(folder: Path) -> Iterable[Path]:
    """Images and volumes below a folder; what begins with a dot is left alone."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and (is_volume(path) or is_picture(path)):
            yield path


def _from_table(path: Path, column: str | None, *, missing_ok: bool) -> Listing:
    rows = read_table(path)
    listed = table_paths(path, rows, column)
    missing = [] if missing_ok else [name for name, file in listed if not file.is_file()]
    if missing:
        mend = "correct the paths (they are relative to the table's folder), or pass on_error='skip'"
        raise InputError(missing_message(str(path), "files are missing", missing, len(rows), mend))
    entries = (Entry(name, FileSource(file), row) for (name, file), row in zip(listed, rows, strict=True))
    name = path.resolve().parent.name if path.name == "metadata.csv" else path.stem
    return Listing(name, tuple(entries), path.parent)


def _from_files(paths: Sequence[Path]) -> Listing:
    for path in paths:
        if not path.is_file() or not (is_volume(path) or is_picture(path)):
            reason = "not a format read here" if path.is_file() else "no such file"
            raise InputError(f"{path}: {reason}; pass {_READABLE} files, or a folder, .csv, .npy or .npz")
    names = [path.name for path in paths]
    names = names if len(set(names)) == len(names) else [path.as_posix() for path in paths]
    entries = tuple(Entry(name, FileSource(path)) for name, path in zip(names, paths, strict=True))
    return Listing(paths[0].name if len(paths) == 1 else f"{len(paths)} files", entries)


def _from_numpy(path: Path, volumes: bool | None) -> Listing:
    try:
        loaded = np.load(path, mmap_mode="r" if path.suffix.lower() == ".npy" else None, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            arrays = {"images": loaded}
        else:
            with loaded:
                arrays = dict(loaded)
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: cannot read ({error}); pass plain arrays, saved without pickles") from error
    if len(arrays) == 1:
        arrays = {"images": next(iter(arrays.values()))}
    if "images" not in arrays:
        raise InputError(f"{path}: holds {', '.join(arrays)}; name the array of images 'images'")
    entries = _from_arrays(arrays["images"], path.name, volumes)
    rows = _rows(arrays, len(entries))
    named = (Entry(row.get("file_name", one.name), one.source, row) for one, row in zip(entries, rows, strict=True))
    return Listing(path.stem, tuple(named), masks=arrays.get("masks"))


def _rows(arrays: Mapping[str, NDArray[Any]], n: int) -> list[dict[str, str]]:
    columns = {key: value for key, value in arrays.items() if value.shape == (n,) and value.dtype.kind in "iufUb"}
    return [{key: str(value[i]) for key, value in columns.items()} for i in range(n)]


def _from_arrays(source: Any, what: str, volumes: bool | None) -> tuple[Entry, ...]:
    images = np.asarray(source) if hasattr(source, "__array__") else [np.asarray(one) for one in source]
    if len(images) == 0:
        raise InputError(f"{what}: no images")
    if isinstance(images, np.ndarray) and images.ndim == 2:
        raise InputError(f"{what}: one image of shape {images.shape}; pass several, as (n, h, w)")
    is_volumes = all(_is_volume_array(one) for one in images) if volumes is None else volumes
    for number, one in enumerate(images):
        _check_shape(one, f"{what}: image {number}", is_volumes)
    if not is_volumes:
        images = _of_one_depth(images, what)
    return tuple(
        Entry(f"image {i}", ArraySource(one, f"{what}: image {i}", is_volumes)) for i, one in enumerate(images)
    )


def _of_one_depth(images: Any, what: str) -> Any:
    """Numbers of other types brought to one, so that a dark image is not at 8 bits beside others at 16."""
    if all(image.dtype in (np.uint8, np.uint16) for image in images):
        return images
    if isinstance(images, np.ndarray):
        return narrow(images, what)
    shallow = all(image.dtype == np.uint8 or image.max() <= 255 for image in images)
    return [narrow(one, f"{what}: image {number}", keep_8_bits=shallow) for number, one in enumerate(images)]


def _is_volume_array(array: NDArray[Any]) -> bool:
    return array.ndim == 3 and array.shape[0] not in (1, 3) and array.shape[2] not in (1, 3, 4)


def _check_shape(array: NDArray[Any], what: str, volumes: bool) -> None:
    channels = array.ndim == 3 and (array.shape[0] in (1, 3) or array.shape[2] in (1, 3, 4))
    if array.size == 0 or not (array.ndim == 3 if volumes else array.ndim == 2 or channels):
        wanted = "(z, y, x)" if volumes else "(h, w), (h, w, 3) or (3, h, w)"
        raise InputError(f"{what} has the shape {array.shape}; expected {wanted}")


def _volume_values(array: NDArray[Any], what: str) -> NDArray[Any]:
    if array.dtype.kind in "iu" and -32768 <= int(array.min()) and int(array.max()) <= 32767:
        return np.ascontiguousarray(array, np.int16)
    if array.dtype.kind not in "iuf" or not np.isfinite(array).all():
        raise InputError(f"{what}: expected finite numbers, got {array.dtype} with NaN or infinite values")
    return np.ascontiguousarray(array, np.float32)
