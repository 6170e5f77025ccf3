"""What a projector is to the benchmark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as package_version

from bench_drr_peers.measure import Array, Call
from bench_drr_peers.scene import Scene, View

Make = Callable[[Scene, View], Callable[[], Array | Call]]


@dataclass(frozen=True)
class Projector:
    """A row of the benchmark.

    Attributes:
        label: What the table calls it.
        model: Its own voxel model, "box" or "trilinear": the reference that its error is taken from.
        make: Prepares it for a view.
        version: Its version, None where it is not installed.
        views_per_call: How often one call projects the view.
        dtype: How voxels are stored, for projectors that are set beside the floor.
    """

    label: str
    model: str
    make: Make
    version: Callable[[], str | None]
    views_per_call: int = 1
    dtype: str = ""


def package(name: str) -> Callable[[], str | None]:
    """Version of a distribution."""

    def version() -> str | None:
        try:
            return package_version(name)
        except PackageNotFoundError:
            return None

    return version
