"""Copies of a set at rising severity, the milder on the way to the harsher: same noise, same images replaced."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from synth.core.seeds import sample_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from .people import People

    Pictures = NDArray[np.uint8]
    Rows = NDArray[np.intp]

__all__ = [
    "LEVELS",
    "Corruption",
    "blurred",
    "compressed",
    "corruptions",
    "flattened",
    "mirrored",
    "noisy",
    "repeated",
    "replaced",
]

LEVELS = 4
"""Severities beside "unchanged"."""

QUARTERS = tuple(level / LEVELS for level in range(1, LEVELS + 1))


@dataclass(frozen=True)
class Corruption:
    """A way to spoil a set.

    Attributes:
        name: In tables and keys.
        labels: Of its severities, the mildest first.
        make: The spoilt set of severity 1, 2, …
        of_images: Whether images are changed, rather than who or what is in the set.
    """

    name: str
    labels: tuple[str, ...]
    make: Callable[[int], Pictures]
    of_images: bool


def corruptions(people: People, seed: int) -> tuple[Corruption, ...]:
    """All of them, of half B; those that need other people only where there are any."""
    real = people.generated
    order = sample_generator(seed, "order").permutation(len(real))
    women = order[np.isin(order, people.women)]
    found = [
        _of_images("blur", (0.5, 1, 2, 4), "σ {} px", partial(blurred, real)),
        _of_images("noise", (1, 2, 4, 8), "σ {}", partial(noisy, real, seed=seed)),
        _of_images("contrast", (0.9, 0.75, 0.6, 0.4), "× {}", partial(flattened, real)),
        _of_images("JPEG", (75, 50, 25, 10), "quality {}", partial(compressed, real)),
        Corruption(
            "mirrored",
            tuple(f"{share:.0%}" for share in QUARTERS),
            lambda level: mirrored(real, order[: round(QUARTERS[level - 1] * len(real))]),
            of_images=True,
        ),
        _of_people("other hospital", real, order, people.elsewhere),
        _of_people("men only", real, women, people.men),
        _of_people("children", real, order, people.children),
        Corruption(
            "repeats", ("2 ×", "4 ×", "8 ×", "16 ×"), lambda level: repeated(real, order, 2**level), of_images=False
        ),
    ]
    return tuple(one for one in found if one is not None)


def _of_images(name: str, values: Sequence[float], label: str, change: Callable[[float], Pictures]) -> Corruption:
    labels = tuple(label.format(value) for value in values)
    return Corruption(name, labels, lambda level: change(values[level - 1]), of_images=True)


def _of_people(name: str, real: Pictures, rows: Rows, others: Pictures) -> Corruption | None:
    """Quarters of the rows that can be replaced; labels say which share of the set that is."""
    most = min(len(rows), len(others))
    counts = [round(share * most) for share in QUARTERS]
    if not counts[0]:
        return None
    labels = tuple(f"{count / len(real):.0%}" for count in counts)
    return Corruption(name, labels, lambda level: replaced(real, rows[: counts[level - 1]], others), of_images=False)


def blurred(images: Pictures, sigma: float) -> Pictures:
    """Gaussian blur, σ in pixels."""
    return _grey(gaussian_filter(images.astype(np.float64), (0, sigma, sigma), mode="nearest"))


def noisy(images: Pictures, sigma: float, seed: int) -> Pictures:
    """White noise, σ in grey levels of 255; an image has the same noise at every σ."""
    shape = images.shape[1:]
    noise = [sample_generator(seed, k, "noise").standard_normal(shape) for k in range(len(images))]
    return _grey(images + sigma * np.stack(noise))


def flattened(images: Pictures, factor: float) -> Pictures:
    """Contrast about each image's own mean, so that brightness stays."""
    mean = images.mean((1, 2), keepdims=True)
    return _grey(mean + factor * (images - mean))


def compressed(images: Pictures, quality: int | float) -> Pictures:
    """Through JPEG and back."""
    return np.stack([_through_jpeg(image, int(quality)) for image in images])


def mirrored(images: Pictures, rows: Rows) -> Pictures:
    """Left and right exchanged in the images at `rows`."""
    copy = images.copy()
    copy[rows] = images[rows, :, ::-1]
    return copy


def replaced(images: Pictures, rows: Rows, others: Pictures) -> Pictures:
    """The first of the others in the place of the images at `rows`."""
    copy = images.copy()
    copy[rows] = others[: len(rows)]
    return copy


def repeated(images: Pictures, order: Rows, times: int) -> Pictures:
    """As many images, but only the first of the order, each about `times` times."""
    return images[np.resize(order[: -(-len(order) // times)], len(order))]


def _grey(values: NDArray[np.float64]) -> Pictures:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _through_jpeg(image: NDArray[np.uint8], quality: int) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as opened:
        return np.asarray(opened)
