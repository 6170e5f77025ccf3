"""The judge of what radiographs show: scripts/phantom_classifier's network, taught on training phantoms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from phantom_classifier.network import new_network, standardised
from phantom_classifier.training import Training, predict, train

from synth.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from cxr_evaluation.pictures import Pictures
    from synth.metrics.readers.network import Network

__all__ = ["Reader"]

_BATCH = 64
_RIDGE = 1.0  # in units of a standardised feature's variance, a body


@dataclass(frozen=True, eq=False)
class Reader:
    """Reads frontal radiographs.

    Attributes:
        network: The classifier.
        centre: (d,) mean of its features on training phantoms.
        scale: (d,) their standard deviation.
        slope: (d,) years by standardised feature.
        mean_age: Years at their mean.
    """

    network: Network
    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    slope: NDArray[np.float64]
    mean_age: float

    @classmethod
    def of(cls, path: Path, training: Pictures, epochs: int, threads: int) -> Reader:
        """Taught on frontal training phantoms, or read from `path` where it is there already.

        Age is a ridge regression on the network's features, fitted to the same phantoms.

        Raises:
            InputError: None of them has a finding.
        """
        shown = training.some(training.frontal())
        if not path.is_file():
            if not any(shown.findings):
                raise InputError("--training: no frontal radiograph has a finding that the classifier could learn")
            path.parent.mkdir(parents=True, exist_ok=True)
            train(shown.films(), Training(epochs, 32, 3e-3, epochs, 0, threads), path)
        torch.set_num_threads(threads)
        network = new_network()
        network.load_state_dict(torch.load(path, weights_only=True)["weights"])
        network.eval()
        values = _features(network, shown.images)
        centre, scale = values.mean(0), values.std(0) + 1e-9
        ages = np.array([float(one.age or 0) for one in shown.conditions])
        x = (values - centre) / scale
        slope = np.linalg.solve(x.T @ x + _RIDGE * len(np.unique(shown.patients)) * np.eye(x.shape[1]),
                                x.T @ (ages - ages.mean()))  # fmt: skip
        return cls(network, centre, scale, slope, float(ages.mean()))

    def scores(self, images: NDArray[np.uint16]) -> dict[str, NDArray[np.float64]]:
        """See `phantom_classifier.training.predict`."""
        return predict(self.network, (images >> 8).astype(np.uint8))

    def features(self, images: NDArray[np.uint16]) -> NDArray[np.float64]:
        """(n, 192): the layer before the last, means and maxima of its maps."""
        return _features(self.network, images)

    def age(self, images: NDArray[np.uint16]) -> NDArray[np.float64]:
        """(n,) years."""
        return self.mean_age + (self.features(images) - self.centre) / self.scale @ self.slope


@torch.no_grad()
def _features(network: Network, images: NDArray[np.uint16]) -> NDArray[np.float64]:
    seen: list[torch.Tensor] = []

    def keep(_module: Any, given: tuple[torch.Tensor, ...]) -> None:
        seen.append(given[0])

    hook = network.person.register_forward_pre_hook(keep)
    try:
        for first in range(0, len(images), _BATCH):
            network(standardised(torch.from_numpy((images[first : first + _BATCH] >> 8).astype(np.uint8))))
    finally:
        hook.remove()
    return torch.cat(seen).double().numpy()
