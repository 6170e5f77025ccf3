"""Fixtures of the metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def no_cache() -> Iterator[None]:
    """Features are computed, not taken from the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SYNTH_CACHE", "off")
        yield
