"""Masks of images, paired by name and never by order.

Sorting two folders and pairing them by position gives wrong masks without a word as soon as one file is missing;
so a mask belongs to the image of its name, and an image without one is an error that names it.
"""

from __future__ import annotations

import json
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
from pycocotools import mask as rle

from synth.core.errors import InputError
from synth.core.reading import read_labels
from synth.metrics.images.files import is_picture, is_volume, read_file
from synth.metrics.images.subgroups import column_named
from synth.metrics.images.tables import missing_message

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from synth.metrics.images.files import Decoded
    from synth.metrics.images.sources import Listing

__all__ = ["CocoMask", "MaskArray", "MaskFile", "MaskSource", "Masks", "pair_masks"]

Masks: TypeAlias = "str | Path | Mapping[str, NDArray[Any]] | NDArray[Any] | Sequence[NDArray[Any]]"
"""A folder of masks, an annotations.json (COCO), a column of the table, "own" for what lies with the images, arrays by
name, or, for images that are arrays themselves, arrays."""

_ENDING = re.compile(r"[ _.-](mask|masks|seg|segmentation|label|labels|total)$", re.IGNORECASE)
_LOSSY = (".jpg", ".jpeg")


class MaskSource(Protocol):
    """What can be decoded to a mask."""

    def read(self, image: Decoded) -> NDArray[np.bool_]:
        """The mask of `image`, (h, w) or (z, y, x)."""


@dataclass(frozen=True)
class MaskFile:
    """A mask in a picture (all but 0 is foreground; in a JPEG, above 127) or a label map."""

    path: Path
    structures: tuple[str, ...] | None

    def read(self, image: Decoded) -> NDArray[np.bool_]:
        """See MaskSource."""
        if not is_volume(self.path):
            foreground: NDArray[np.bool_] = read_file(self.path).pixels > self._threshold
            return foreground
        labels = read_labels(self.path, image.volume)
        if self.structures is None:
            return labels.array > 0
        return np.isin(labels.array, [value for value, name in labels.names.items() if name in self.structures])

    @property
    def _threshold(self) -> int:
        return 127 if self.path.suffix.lower() in _LOSSY else 0


@dataclass(frozen=True, eq=False)
class MaskArray:
    """A mask in memory; all but 0 is foreground."""

    array: NDArray[Any]

    def read(self, image: Decoded) -> NDArray[np.bool_]:
        """See MaskSource."""
        mask: NDArray[np.bool_] = np.asarray(self.array) != 0
        return mask


@dataclass(frozen=True, eq=False)
class CocoMask:
    """The union of an image's annotations; empty where it has none."""

    segmentations: tuple[Any, ...]
    where: str

    def read(self, image: Decoded) -> NDArray[np.bool_]:
        """See MaskSource."""
        union = np.zeros(image.pixels.shape, np.bool_)
        for segmentation in self.segmentations:
            mask = self._decode(segmentation, image.pixels.shape)
            if mask.shape != union.shape:
                return mask  # of another size: the caller says so
            union |= mask
        return union

    def _decode(self, segmentation: Any, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        try:
            if isinstance(segmentation, list) or isinstance(segmentation["counts"], list):
                segmentation = rle.frPyObjects(segmentation, *shape)
            if isinstance(segmentation, list):
                segmentation = rle.merge(segmentation)
            with warnings.catch_warnings():
                # pycocotools' own __array__ is of before NumPy 2: nothing a caller could mend.
                warnings.filterwarnings("ignore", message="__array__ implementation", category=DeprecationWarning)
                return np.ascontiguousarray(rle.decode(segmentation), np.bool_)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.where}: an annotation that is no COCO run lengths or polygons ({error})"
            ) from error


def pair_masks(
    masks: Masks, listing: Listing, structures: Sequence[str] | None = None, *, drop: bool = False
) -> list[MaskSource | None]:
    """The mask of each image.

    Args:
        masks: See `Masks`.
        listing: The images.
        structures: Names of the structures to unite, of COCO annotations and label maps; default: all.
        drop: Whether images without a mask are left out (their place holds None) instead of refused.

    Raises:
        InputError: Images without a mask (the first are named), several masks for one image, unknown structures, or
            masks of a kind that does not fit the images.
    """
    wanted = None if structures is None else tuple(structures)
    found = _find(masks, listing, wanted)
    missing = [entry.name for entry, mask in zip(listing.entries, found, strict=True) if mask is None]
    if missing and (not drop or len(missing) == len(found)):
        mend = "masks are paired by name" + ("" if drop else "; add them, or pass unpaired='drop'")
        raise InputError(missing_message(listing.name, "images have no mask", missing, len(found), mend))
    return found


def _find(masks: Masks, listing: Listing, structures: tuple[str, ...] | None) -> list[MaskSource | None]:
    names = [entry.name for entry in listing.entries]
    if isinstance(masks, Mapping):
        by_name = _Index({name: MaskArray(array) for name, array in masks.items()}, "masks")
        return [by_name.of(name) for name in names]
    if not isinstance(masks, str | Path):
        return _from_arrays(masks, listing)
    if masks == "own":
        return _own(listing, structures)
    columns = list(listing.entries[0].row)
    column = column_named(columns, masks) if isinstance(masks, str) else None
    if column is not None:
        root = listing.root or Path()
        cells = [entry.row[column].strip() for entry in listing.entries]
        return [MaskFile(root / cell, structures) if cell else None for cell in cells]
    path = Path(masks)
    if not path.exists():
        known = f", nor a column of {', '.join(columns)}" if columns else ""
        raise InputError(f"masks {str(masks)!r}: no such file or folder{known}")
    if path.is_file() and path.suffix.lower() == ".json":
        return _coco(path, names, structures)
    if path.is_dir() and (path / "annotations.json").is_file():
        return _coco(path / "annotations.json", names, structures)
    return _folder(path, names, structures)


def _own(listing: Listing, structures: tuple[str, ...] | None) -> list[MaskSource | None]:
    if listing.masks is not None:
        return _from_arrays(listing.masks, listing)
    folder = None if listing.root is None else listing.root / "masks"
    if folder is None or not folder.is_dir():
        raise InputError(f"{listing.name}: no masks of its own (a folder masks/); name the folder of masks")
    return _find(folder, listing, structures)


def _from_arrays(masks: Any, listing: Listing) -> list[MaskSource | None]:
    if listing.root is not None or len(masks) != len(listing.entries):
        raise InputError(
            f"{len(masks)} mask arrays for the {len(listing.entries)} images of {listing.name}: arrays pair with as "
            "many arrays; for files pass a mapping from an image's name to its mask"
        )
    return [MaskArray(mask) for mask in masks]


def _folder(folder: Path, names: Sequence[str], structures: tuple[str, ...] | None) -> list[MaskSource | None]:
    files = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    masks: dict[str, MaskSource] = {}
    for path in files:
        relative = path.relative_to(folder if folder.is_dir() else folder.parent)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.is_file() and not hidden and (is_volume(path) or is_picture(path)):
            masks[relative.as_posix()] = MaskFile(path, structures)
    if not masks:
        raise InputError(f"{folder}: no masks in it (PNG, TIFF, NIfTI, …, or annotations.json)")
    index = _Index(masks, str(folder))
    return [index.of(name) for name in names]


def _coco(path: Path, names: Sequence[str], structures: tuple[str, ...] | None) -> list[MaskSource | None]:
    try:
        content = json.loads(path.read_bytes())
        categories = {one["id"]: str(one["name"]) for one in content["categories"]}
        files = {one["id"]: str(one["file_name"]) for one in content["images"]}
        unknown = sorted(set(structures or ()) - set(categories.values()))
        if unknown:
            raise InputError(f"{path}: no structure {unknown[0]!r}; it has {', '.join(sorted(categories.values()))}")
        found: dict[str, list[Any]] = {name: [] for name in files.values()}
        for one in content["annotations"]:
            if structures is None or categories[one["category_id"]] in structures:
                found[files[one["image_id"]]].append(one["segmentation"])
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not a COCO annotation file ({type(error).__name__}: {error})") from error
    index = _Index({name: CocoMask(tuple(found[name]), f"{path}: {name}") for name in found}, str(path))
    return [index.of(name) for name in names]


class _Index:
    """Masks by the names they may be asked for with: whole, without endings, and without folders."""

    def __init__(self, masks: Mapping[str, MaskSource], where: str) -> None:
        self._where = where
        self._owners: dict[int, str] = {}
        self._levels: list[dict[str, list[tuple[str, MaskSource]]]] = [defaultdict(list) for _ in _KEYS]
        for name, mask in masks.items():
            for level, key in zip(self._levels, _KEYS, strict=True):
                level[key(name)].append((name, mask))

    def of(self, name: str) -> MaskSource | None:
        """The mask of an image, by the most exact key that has one.

        Raises:
            InputError: Several masks under that key.
        """
        for level, key in zip(self._levels, _KEYS, strict=True):
            found = [mask for mask_name, mask in level.get(key(name), []) if _agree(mask_name, name)]
            if len(found) > 1:
                raise InputError(f"{self._where}: {len(found)} masks could be that of {name}; leave one")
            if found:
                return self._claimed(found[0], name)
        return None

    def _claimed(self, mask: MaskSource, name: str) -> MaskSource:
        owner = self._owners.setdefault(id(mask), name)
        if _stem(owner) != _stem(name):
            raise InputError(
                f"{self._where}: one mask could be that of {owner} or of {name}; tell them apart by folders"
            )
        return mask


def _stem(name: str) -> str:
    """The relative path without the format's ending and without a leading images/ or masks/."""
    stem = re.sub(r"\.(nii\.gz|[A-Za-z0-9]{1,6})$", "", name, flags=re.IGNORECASE)
    return re.sub(r"^(images|volumes|masks)/", "", stem)


def _bare(name: str) -> str:
    """The stem without a word that says it is a mask."""
    return _ENDING.sub("", _stem(name))


def _base(name: str) -> str:
    """The bare stem without its folders."""
    return _bare(name).rsplit("/", 1)[-1]


def _agree(mask_name: str, name: str) -> bool:
    """Whether the folders of a mask's and an image's name do not contradict: one path ends as the other."""
    one, other = f"/{_bare(mask_name)}", f"/{_bare(name)}"
    return one.endswith(other) or other.endswith(one)


_KEYS: tuple[Callable[[str], str], ...] = (str, _stem, _bare, _base)
