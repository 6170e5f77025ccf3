"""Memory that is predicted, against tensors and arrays that are alive."""

from __future__ import annotations

import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from synth.core.errors import InputError
from synth.diffusion.ct import memory
from synth.diffusion.ct.memory import available_bytes, fitting, peak_bytes
from tests.diffusion.ct.models import pipeline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Alive(TorchDispatchMode):
    """Counts the bytes of tensors that are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak = 0

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in tree_leaves(made):
            if isinstance(one, torch.Tensor):
                storage = one.untyped_storage()
                self.found[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())
        self.found = {key: value for key, value in self.found.items() if not value[0].expired()}
        self.peak = max(self.peak, sum(size for _, size in self.found.values()))
        return made


def measured(size: int, tile: int) -> int:
    """Bytes of tensors and arrays at their peaks, without the program and the weights."""
    pipe = pipeline()
    pipe("Mass.", size=(16, 16, 16), steps=1)
    tracemalloc.start()
    with Alive() as alive:
        pipe("Mass.", size=(size,) * 3, steps=1, refine_steps=1, tile=tile)
    arrays = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return alive.peak + arrays


@pytest.mark.parametrize(("size", "tile"), [(64, 32), (64, 64)])
def test_the_peak_is_what_was_predicted(size: int, tile: int) -> None:
    plan = peak_bytes(pipeline(), (size,) * 3, tile=tile)
    found = measured(size, tile)
    assert 0.8 * found < plan.total - plan.process - plan.networks < 1.5 * found


def test_a_plan_grows_with_what_is_asked_for() -> None:
    pipe = pipeline()
    plans = [peak_bytes(pipe, (side,) * 3, tile=16) for side in (16, 32, 64, 128)]
    assert [one.total for one in plans] == sorted({one.total for one in plans})
    assert plans[2].working == plans[3].working  # a tile is a tile
    assert plans[3].volume == 8 * plans[2].volume
    assert plans[3].total == plans[3].device + plans[3].host
    half = peak_bytes(pipe, (64, 64, 64), dtype=torch.float16)
    assert half.networks * 2 == peak_bytes(pipe, (64, 64, 64)).networks
    assert peak_bytes(pipe, (64, 64, 64), batch=3).volume > peak_bytes(pipe, (64, 64, 64), batch=2).volume
    assert "64 × 64 × 64 voxels in tiles of 16, float16: about" in str(half)
    with pytest.raises(InputError, match="multiples"):
        peak_bytes(pipe, (65, 64, 64))


def test_the_largest_tile_that_fits_is_found() -> None:
    pipe = pipeline()
    wide, narrow = (peak_bytes(pipe, (128, 128, 128), tile=tile) for tile in (64, 32))
    assert fitting(pipe, (128, 128, 128), wide.total, tile=64) == wide
    assert fitting(pipe, (128, 128, 128), wide.total - 1, tile=64) == narrow
    assert fitting(pipe, (128, 128, 128), narrow.process, tile=64) is None


def test_a_group_of_processes_may_have_less_than_the_machine(tmp_path: Path) -> None:
    for name, text in (("max", "1000"), ("current", "700"), ("stat", "anon 1\ninactive_file 50")):
        (tmp_path / f"memory.{name}").write_text(text + "\n")
    assert list(memory._group_limit(tmp_path)) == [350]
    (tmp_path / "memory.max").write_text("max\n")
    assert list(memory._group_limit(tmp_path)) == []
    assert 2**20 < available_bytes(torch.device("cpu")) < 2**50
