"""Random numbers: every sample has a generator of its own, whatever the order, the batch or the number of workers."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["sample_generator"]


def sample_generator(root_seed: int, sample_id: str | int, *purpose: str) -> np.random.Generator:
    """The generator of one sample.

    Args:
        root_seed: The run's 64-bit seed.
        sample_id: The sample's id.
        purpose: Names that tell several streams of one sample apart ("noise", "pose", …).

    Returns:
        A PCG64 generator seeded by numpy's SeedSequence from (root seed, SHA-256 of id and purpose).
    """
    digest = hashlib.sha256("\0".join((str(sample_id), *purpose)).encode()).digest()
    words = np.frombuffer(digest, "<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence([root_seed & 0xFFFFFFFF, root_seed >> 32 & 0xFFFFFFFF, *words]))
