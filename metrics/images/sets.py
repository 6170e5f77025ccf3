"""Sets of images to score: opened from anything, decoded when asked for, hashed by content.

real = ImageSet.open("reference/")    a folder, metadata.csv, a dataset folder, .npz, arrays, NIfTI
real.stream()                         its images, decoded by threads, in order, in bounded memory
real.by("sex")["F"]                   a subgroup
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from synth.core.errors import InputError
from synth.metrics.images import subgroups
from synth.metrics.images.masks import pair_masks
from synth.metrics.images.sources import list_images
from synth.metrics.images.stream import ordered_map
from synth.metrics.images.windowing import resize_mask, resize_to_type

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from synth.metrics.images.files import Decoded
    from synth.metrics.images.masks import Masks, MaskSource
    from synth.metrics.images.sources import Entry, ImageSource
    from synth.metrics.images.survey import Survey

__all__ = ["ImageSet", "LoadedImage", "content_hash"]


@dataclass(frozen=True, eq=False)
class LoadedImage:
    """One decoded image.

    Attributes:
        index: Position in the set.
        name: Relative path, or position in an array.
        pixels: (h, w), uint8 or uint16; or a volume (z, y, x), int16 or float32.
        digest: `content_hash` of the pixels.
        mask: Of the pixels' shape, bool; None in a set without masks.
        spacing_mm: Of a volume, along (z, y, x).
        row: Column → cell of its table.
        notes: What was changed on the way.
    """

    index: int
    name: str
    pixels: NDArray[Any]
    digest: str
    mask: NDArray[np.bool_] | None
    spacing_mm: tuple[float, ...] | None
    row: Mapping[str, str]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images of one population; make one with `ImageSet.open`.

    Attributes:
        name: What to call it in messages.
        entries: The images, not decoded.
        masks: The mask of each image, or None.
        resize: (h, w) that every 2D image is brought to, bicubic, rounded to its own type; None leaves them.
        on_error: What to do about a file that cannot be read.
    """

    name: str
    entries: tuple[Entry, ...]
    masks: tuple[MaskSource, ...] | None = None
    resize: tuple[int, int] | None = None
    on_error: Literal["raise", "skip"] = "raise"

    @classmethod
    def open(
        cls,
        source: ImageSource | ImageSet,
        *,
        masks: Masks | None = None,
        structures: Sequence[str] | None = None,
        unpaired: Literal["raise", "drop"] = "raise",
        resize: int | tuple[int, int] | None = None,
        on_error: Literal["raise", "skip"] = "raise",
        column: str | None = None,
        volumes: bool | None = None,
        name: str | None = None,
    ) -> ImageSet:
        """Opens a set; nothing is decoded yet.

        Args:
            source: See `images.sources.list_images`; a set is returned as it is, and takes no options.
            masks: See `images.masks.Masks`; "own" takes those that lie with the images. Default: none are used.
            structures: Structures of the masks to unite; default: all.
            unpaired: Whether an image without a mask is an error or is dropped.
            resize: Size (h, w) to bring 2D images to; one number for a square. Default: as they are.
            on_error: Whether a file that cannot be read is an error that names it, or is skipped and counted.
            column: The table's column of paths.
            volumes: Whether arrays are volumes (z, y, x).
            name: What to call the set; default: its folder's or file's name.

        Raises:
            InputError: No images, an unreadable table, images without masks, or an option of the wrong kind.
        """
        if isinstance(source, ImageSet):
            if any(option is not None for option in (masks, structures, resize, column, volumes, name)):
                raise InputError(f"{source.name}: the set is open already; pass the options where it is opened")
            return source
        _check_choice("unpaired", unpaired, ("raise", "drop"))
        _check_choice("on_error", on_error, ("raise", "skip"))
        listing = list_images(source, column=column, volumes=volumes, missing_ok=on_error == "skip")
        entries, paired = listing.entries, None
        if masks is not None:
            found = pair_masks(masks, listing, structures, drop=unpaired == "drop")
            kept = [(entry, mask) for entry, mask in zip(entries, found, strict=True) if mask is not None]
            entries, paired = tuple(entry for entry, _ in kept), tuple(mask for _, mask in kept)
        return cls(name or listing.name, entries, paired, _size(resize), on_error)

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all images."""
        return tuple(entry.name for entry in self.entries)

    @property
    def rows(self) -> tuple[Mapping[str, str], ...]:
        """The table's row of each image; empty without a table."""
        return tuple(entry.row for entry in self.entries)

    @property
    def patients(self) -> tuple[str, ...] | None:
        """The patient of each image, empty where unknown; None where the table does not say."""
        return subgroups.patients(self.rows)

    def column(self, name: str) -> tuple[str, ...]:
        """The cells of a column, by its name or a common alias ("sex" finds "gender").

        Raises:
            InputError: No such column.
        """
        return subgroups.cells(self.rows, name)

    def by(self, *columns: str) -> dict[str, ImageSet]:
        """The set split into subgroups.

        Args:
            columns: Columns; "age_group" is made from the ages. Several give intersections, "F, 60-79".

        Returns:
            Group → its images, groups in sorted order, "unknown" last. An image with several findings is in the group
            of each.

        Raises:
            InputError: No such column.
        """
        if not columns:
            raise InputError("by() needs at least one column, such as by('sex')")
        groups: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for index, row in enumerate(zip(*(subgroups.memberships(self.rows, one) for one in columns), strict=True)):
            for group in product(*row):
                groups[group].append(index)
        ordered = sorted(groups, key=lambda group: [(part == subgroups.UNKNOWN, part) for part in group])
        return {", ".join(group): self.subset(groups[group], ", ".join(group)) for group in ordered}

    def subset(self, indices: Iterable[int], label: str = "") -> ImageSet:
        """The images at `indices`, in that order; `label` is added to the set's name."""
        chosen = list(indices)
        masks = None if self.masks is None else tuple(self.masks[index] for index in chosen)
        entries = tuple(self.entries[index] for index in chosen)
        return replace(self, name=f"{self.name} [{label}]" if label else self.name, entries=entries, masks=masks)

    def load(self, index: int) -> LoadedImage:
        """One image, decoded.

        Raises:
            InputError: The file cannot be read (it is named), or its mask is of another size.
        """
        entry = self.entries[index]
        decoded = entry.source.read()
        mask = None if self.masks is None else self._mask(index, decoded)
        pixels = decoded.pixels
        if self.resize is not None and pixels.ndim == 2:
            pixels = resize_to_type(pixels, self.resize)
            mask = None if mask is None else resize_mask(mask, self.resize)
        digest = content_hash(pixels)
        return LoadedImage(index, entry.name, pixels, digest, mask, decoded.spacing_mm, entry.row, decoded.notes)

    def stream(self, survey: Survey | None = None, *, workers: int | None = None) -> Iterator[LoadedImage]:
        """All images in order, decoded by threads a few ahead.

        Args:
            survey: Collects what is seen, and what is skipped.
            workers: Threads; default: SYNTH_THREADS or the cores.

        Raises:
            InputError: A file that cannot be read, unless the set skips them; or none of them could be read.
        """
        read, failure = 0, None
        for image in ordered_map(self._try, range(len(self)), workers):
            if isinstance(image, LoadedImage):
                read += 1
                if survey is not None:
                    survey.add(image)
                yield image
            else:
                failure, reason = image
                if survey is not None:
                    survey.skip(failure, reason)
        if not read:
            raise InputError(f"{self.name}: none of its {len(self)} images could be read; see {failure}")

    def _try(self, index: int) -> LoadedImage | tuple[str, str]:
        try:
            return self.load(index)
        except InputError as error:
            if self.on_error == "raise":
                raise
            return self.entries[index].name, str(error)

    def _mask(self, index: int, decoded: Decoded) -> NDArray[np.bool_]:
        assert self.masks is not None
        mask, shape = self.masks[index].read(decoded), decoded.pixels.shape
        if mask.shape != shape:
            sizes = "×".join(map(str, mask.shape)), "×".join(map(str, shape))
            raise InputError(
                f"{self.name}: the mask of {self.entries[index].name} measures {sizes[0]}, the image {sizes[1]}; "
                "give each image a mask of its own size"
            )
        return mask


def content_hash(array: NDArray[Any]) -> str:
    """SHA-256, as hexadecimal digits, of an array's type, shape and values; equal on machines of either endianness."""
    values = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{values.dtype.str}{values.shape}".encode())
    digest.update(values.data.cast("B") if values.size else b"")
    return digest.hexdigest()


def _size(resize: int | Sequence[int] | None) -> tuple[int, int] | None:
    if resize is None:
        return None
    size = (resize, resize) if isinstance(resize, int) else tuple(resize)
    if len(size) != 2 or any(isinstance(one, bool) or not isinstance(one, int) or one < 1 for one in size):
        raise InputError(f"resize must be a size in pixels or (h, w), got {resize!r}")
    return size


def _check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InputError(f"{name} must be {' or '.join(map(repr, allowed))}, got {value!r}")
