"""A small convolutional network that says what is on a radiograph, and where."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

__all__ = ["Network", "standardised"]

_RARE = -3.0  # log-odds that a sign is given before anything is learnt


class Network(nn.Module):
    """Radiographs → log-odds of every sign, its map, of a man, and of every age group.

    The picture is folded, 4 × 4 pixels into channels, so that the first layer sees every pixel at a sixteenth of the
    cost; two channels say where on the film it is. A sign's log-odds are the smooth maximum of its map, and what the
    whole picture adds.

    Args:
        signs: How many signs it tells, such as a finding on one side.
        ages: How many age groups.
    """

    def __init__(self, signs: int, ages: int) -> None:
        super().__init__()
        self.fine = nn.Sequential(_layer(18, 32), _Residual(32))
        self.middle = nn.Sequential(_layer(32, 64, stride=2), _Residual(64))
        self.coarse = nn.Sequential(_layer(64, 96, stride=2), _Residual(96))
        self.down = nn.Conv2d(96, 64, 1)
        last = nn.Conv2d(64, signs, 1)
        self.maps = nn.Sequential(_layer(64, 64), last)
        whole = nn.Linear(2 * 96, signs)
        self.whole = nn.Sequential(nn.Dropout(0.2), whole)
        self.person = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * 96, 1 + ages))
        nn.init.constant_(last.bias, _RARE)
        nn.init.zeros_(whole.weight)
        nn.init.zeros_(whole.bias)

    def forward(self, films: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Log-odds.

        Args:
            films: (n, 1, h, w), mean 0 and deviation 1 each; h and w multiples of 16.

        Returns:
            Signs (n, s); their maps (n, s, h/8, w/8); a man (n,); age groups (n, a), up to a constant.
        """
        folded = nn.functional.pixel_unshuffle(films, 4)
        middle = self.middle(self.fine(torch.cat([folded, _places(folded)], 1)))
        coarse = self.coarse(middle)
        maps = self.maps(middle + nn.functional.interpolate(self.down(coarse), scale_factor=2, mode="nearest"))
        pooled = torch.cat([coarse.mean((2, 3)), coarse.amax((2, 3))], 1)
        # The mean of the exponentials of a map would fall with the number of its cells; a finding covers some 16.
        signs = torch.logsumexp(maps, (2, 3)) - math.log(16.0) + self.whole(pooled)
        person = self.person(pooled)
        return signs, maps, person[:, 0], person[:, 1:]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _layer(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


def _layer(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def _places(like: Tensor) -> Tensor:
    """(n, 2, h, w): row and column of every pixel, −1 to 1."""
    n, _, h, w = like.shape
    v, u = torch.linspace(-1, 1, h), torch.linspace(-1, 1, w)
    return torch.stack(torch.meshgrid(v, u, indexing="ij")).to(like).expand(n, 2, h, w)


def standardised(films: Tensor) -> Tensor:
    """(n, h, w) uint8 or float → (n, 1, h, w) float32 of mean 0 and deviation 1 each."""
    films = films.float()
    mean, deviation = films.mean((1, 2), keepdim=True), films.std((1, 2), keepdim=True)
    return ((films - mean) / (deviation + 1e-3))[:, None]
