"""A library of things that are not the patient: instruments, implants, tubes, lines, jewellery.

Every object is a function of a numpy Generator, for what varies from one specimen to the next, and of keyword
parameters with typical dimensions in mm. It returns parts: closed meshes, each of one material of
synth.drr.materials.MATERIALS. The same generator state gives the same object.

Own coordinates, mm: an unturned object lies as on a frontal picture, x to the patient's left, z to the head, its
thickness along y; long objects run along z. The origin is near its middle unless the function says otherwise.

Within an object, materials beside each other do not overlap, but solid joints (a screw in its head, a link in its
neighbour) may: there, lengths add up.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

from synth.drr import devices, implants, instruments, worn
from synth.drr.mesh import Part

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["OBJECTS", "Maker", "Part"]

Maker: TypeAlias = "Callable[..., list[Part]]"
"""generator, parameters by keyword → parts."""

OBJECTS: Mapping[str, Maker] = MappingProxyType(
    {name: getattr(module, name) for module in (devices, implants, instruments, worn) for name in module.__all__}
)
"""Every object's function by its name."""
