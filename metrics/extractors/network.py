"""Extractors that are a neural network with a way to prepare its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from synth.core.errors import InputError
from synth.metrics.extractors.protocol import import_optional, version_hash
from synth.metrics.images.windowing import Window, resize_grey, to_8_bits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

__all__ = ["Network", "Preparation", "choose_device", "import_torch", "network"]

_REVISION = 1
"""To be raised by every change of code that changes vectors: what was cached before is then not used."""


@dataclass(frozen=True, eq=False)
class Network:
    """A network as an extractor of features; see `protocol.Extractor`.

    Attributes:
        name: What to call it.
        dimension: Length of its vectors.
        version_hash: Of weights, preparation, window and device.
        window: How grey values come to 8 bits.
        prepare: (n, h, w) uint8 → the network's input, a tensor on its device.
        forward: That input → (n, d) tensor.
        notes: What a reader of its scores must know.
    """

    name: str
    dimension: int
    version_hash: str
    window: Window
    prepare: Callable[[NDArray[np.uint8]], Any]
    forward: Callable[[Any], Any]
    notes: tuple[str, ...] = ()
    batch_size: int = 32
    uses_masks: bool = False

    def feature_names(self, ndim: int = 2) -> tuple[str, ...]:
        """Numbered: what a network's features mean is not known."""
        return tuple(f"{self.name} {number}" for number in range(self.dimension))

    def features(
        self,
        images: NDArray[Any],
        masks: NDArray[np.bool_] | None = None,
        spacing_mm: tuple[float, ...] | None = None,
    ) -> NDArray[np.float64]:
        """Vectors (n, d) of images (n, h, w), uint8 or uint16; masks are not looked at.

        Raises:
            InputError: Volumes, or a network whose output is not (n, d).
        """
        if images.ndim != 3:
            raise InputError(f"extractor {self.name} reads 2D images, not volumes; radiomics reads both")
        return self.run(self.prepare(to_8_bits(images, self.window)), len(images))

    def run(self, batch: Any, n: int) -> NDArray[np.float64]:
        """The network's output for a prepared batch, checked to be (n, d)."""
        vectors = _forward(self.forward, batch)
        if vectors.shape != (n, self.dimension):
            wanted = (n, self.dimension)
            raise InputError(f"extractor {self.name}: the network gave the shape {vectors.shape}, expected {wanted}")
        return vectors


@dataclass(frozen=True)
class Preparation:
    """The usual preparation: resize without keeping the aspect, so that nothing is cut off, scale, normalise.

    Attributes:
        size: (h, w) of the input.
        mean: Of each channel, for values in [0, 1].
        std: Of each channel.
        filter_name: See `resize_grey`.
        device: Where the network is.
    """

    size: tuple[int, int]
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    filter_name: str = "bicubic"
    device: str = "cpu"

    def __call__(self, images: NDArray[np.uint8]) -> Any:
        """(n, 3, h, w) float32 tensor of (n, h, w) images: (v / 255 − mean) / std."""
        torch = import_torch()
        resized = np.stack([resize_grey(image, self.size, self.filter_name) for image in images])
        grey = torch.from_numpy(resized.clip(0, 255) / np.float32(255))[:, None]
        mean, std = (torch.tensor(values, dtype=torch.float32)[:, None, None] for values in (self.mean, self.std))
        return ((grey - mean) / std).to(self.device)


def network(
    name: str,
    window: Window,
    prepare: Callable[[NDArray[np.uint8]], Any],
    forward: Callable[[Any], Any],
    parts: Mapping[str, object],
    *,
    device: str,
    notes: tuple[str, ...] = (),
) -> Network:
    """An extractor whose dimension is found by one blank image.

    Args:
        name: What to call it.
        window: How grey values come to 8 bits.
        prepare: See `Network`.
        forward: See `Network`.
        parts: All that decides the vectors beside window and device: hashes of weights, settings.
        device: Where the network is.
        notes: What a reader of its scores must know.
    """
    blank = _forward(forward, prepare(np.zeros((1, 64, 64), np.uint8)))
    if blank.ndim != 2 or len(blank) != 1:
        raise InputError(f"extractor {name}: one image gave the shape {blank.shape}, expected (1, d)")
    version = version_hash(parts=dict(parts), window=window, device=device.split(":", 1)[0], revision=_REVISION)
    return Network(name, blank.shape[1], version, window, prepare, forward, notes)


def import_torch() -> Any:
    """Torch, imported when first needed.

    Raises:
        InputError: It is not installed.
    """
    return import_optional("torch", "a neural feature extractor", ["torch"])


def choose_device(device: str | None) -> str:
    """The device named, or the GPU where there is one, else the CPU."""
    torch = import_torch()
    if device is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"device {device!r}: torch sees no GPU here; leave device out, or pass 'cpu'")
    return device


def _forward(forward: Callable[[Any], Any], batch: Any) -> NDArray[np.float64]:
    with import_torch().inference_mode():
        output = forward(batch)
    return np.asarray(output.detach().float().cpu().numpy(), np.float64)
