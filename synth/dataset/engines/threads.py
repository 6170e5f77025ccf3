"""How many threads a process takes, told to libraries before they load."""

from __future__ import annotations

__all__ = ["ONE_BLAS_THREAD", "thread_environment"]

ONE_BLAS_THREAD = {"OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""The last bits of a matrix product depend on how many threads share it: a dataset's bytes must not."""


def thread_environment(threads: int) -> dict[str, str]:
    """The environment of a worker with so many threads for kernels, whose results do not depend on them."""
    return {"SYNTH_THREADS": str(threads), "OMP_NUM_THREADS": str(threads), **ONE_BLAS_THREAD}
