"""What one pass over an image set has seen, and what is to be said of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from synth.metrics.images.sets import LoadedImage

__all__ = ["Survey", "shared_content"]

_SHOWN = 3
_TWELVE_BITS = 4095


class Survey:
    """Collects facts while images stream by; give one to `ImageSet.stream`.

    Attributes:
        name: The set's.
        digests: Content hash of each image, in order.
        shapes: How many images have which shape.
        dtypes: How many images have which type ("uint8", "uint16", …).
        skipped: (name, reason) of the files that could not be read.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.digests: list[str] = []
        self.shapes: Counter[tuple[int, ...]] = Counter()
        self.dtypes: Counter[str] = Counter()
        self.skipped: list[tuple[str, str]] = []
        self._constant: list[str] = []
        self._binary: list[str] = []
        self._empty_masks: list[str] = []
        self._notes: defaultdict[str, list[str]] = defaultdict(list)
        self._highest = 0

    def __len__(self) -> int:
        """Images read."""
        return len(self.digests)

    def add(self, image: LoadedImage) -> None:
        """Takes note of one image."""
        self.digests.append(image.digest)
        self.shapes[image.pixels.shape] += 1
        self.dtypes[str(image.pixels.dtype)] += 1
        low, high = image.pixels.min(), image.pixels.max()
        if image.pixels.dtype == np.uint16:
            self._highest = max(self._highest, int(high))
        if high == low:
            self._constant.append(image.name)
        elif ((image.pixels == low) | (image.pixels == high)).all():
            self._binary.append(image.name)
        if image.mask is not None and not image.mask.any():
            self._empty_masks.append(image.name)
        for note in image.notes:
            self._notes[note].append(image.name)

    def skip(self, name: str, reason: str) -> None:
        """Takes note of a file that could not be read."""
        self.skipped.append((name, reason))

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of a score must know, one line each, beginning with the set's name."""
        lines: list[str] = []
        if self.skipped:
            reasons = "; ".join(reason for _, reason in self.skipped[:_SHOWN])
            lines.append(f"{len(self.skipped)} files skipped ({reasons}{', …' * (len(self.skipped) > _SHOWN)})")
        if len(self) == 1:
            lines.append("only one image: nothing can be said of a distribution")
        if len(self.shapes) > 1:
            lines.append(f"mixed sizes (h×w): {_counted(self.shapes)}; resize=(h, w) brings all to one")
        if len(self.dtypes) > 1:
            lines.append(f"mixed bit depths: {_counted(self.dtypes)}; bring all to one, their values do not compare")
        if 0 < self._highest <= _TWELVE_BITS:
            lines.append(
                f"16-bit images that reach only {self._highest}: at window='full' they are nearly black; "
                f"choose a window such as (0, {self._highest})"
            )
        repeated = len(self) - len(set(self.digests))
        if repeated:
            lines.append(f"{repeated} of {len(self)} images repeat another one pixel by pixel")
        named = (
            ("constant images", self._constant),
            ("images of two values: masks among the images?", self._binary),
            ("empty masks", self._empty_masks),
            *self._notes.items(),
        )
        lines += [f"{len(names)} × {what} ({_some(names)})" for what, names in named if names]
        return tuple(f"{self.name}: {line}" for line in lines)


def shared_content(first: Survey, second: Survey) -> str | None:
    """A warning where two sets share images, pixel by pixel; None where they do not.

    A set scored against itself, or against one that was copied into it, scores too well.
    """
    ours, theirs = Counter(first.digests), Counter(second.digests)
    if ours and ours == theirs:
        return f"{first.name} and {second.name} hold the same {len(first)} images: the score compares a set with itself"
    common = sum(count for digest, count in theirs.items() if digest in ours)
    if not common:
        return None
    return f"{common} of {len(second)} images of {second.name} are also in {first.name}, pixel by pixel"


def _counted(counts: Counter[tuple[int, ...]] | Counter[str]) -> str:
    shown = [f"{count} × {_text(what)}" for what, count in counts.most_common(_SHOWN)]
    return ", ".join(shown) + (f" and {len(counts) - _SHOWN} others" if len(counts) > _SHOWN else "")


def _text(what: tuple[int, ...] | str) -> str:
    return what if isinstance(what, str) else "×".join(map(str, what))


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
