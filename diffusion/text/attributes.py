"""Attributes of the patient and the view as tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from synth.diffusion.layers import sinusoids
from synth.diffusion.text.conditions import ATTRIBUTES, RACES, SEXES, UNKNOWN, VIEWS

__all__ = ["AttributeTokens"]


class AttributeTokens(nn.Module):
    """A token for each of sex, age, race and view; nothing asked for has an embedding of its own.

    Args:
        width: Of tokens.
        view: Whether there is one for the view; volumes have none.
    """

    def __init__(self, width: int, *, view: bool = True) -> None:
        super().__init__()
        codes = {"sex": SEXES, "race": RACES, **({"view": VIEWS} if view else {})}
        for name, known in codes.items():
            setattr(self, name, nn.Embedding(len(known) + 1, width))
        self.age, self.no_age = nn.Linear(width, width), nn.Parameter(torch.zeros(width))
        self.kinds = nn.Parameter(0.02 * torch.randn(len(ATTRIBUTES) - (not view), width))
        for name in codes:
            nn.init.normal_(getattr(self, name).weight, std=0.02)

    def forward(self, attributes: Tensor) -> Tensor:
        """(n, 4) codes and years, see `synth.diffusion.text.conditions.encode` → (n, 4, d), or 3 without the view."""
        width = self.no_age.shape[0]
        tokens = []
        for name, values in zip(ATTRIBUTES[: len(self.kinds)], attributes.unbind(1), strict=False):
            if name == "age":
                years = self.age(sinusoids(values.float().clamp(min=0), width, longest=1000.0).to(self.no_age.dtype))
                tokens.append(torch.where((values == UNKNOWN)[:, None], self.no_age, years))
            else:
                tokens.append(getattr(self, name)(values.long() + 1))
        return torch.stack(tokens, dim=1) + self.kinds
