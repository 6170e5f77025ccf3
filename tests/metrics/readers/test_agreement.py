from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.metrics.images.sets import ImageSet
from synth.metrics.readers.agreement import HEADS, agreement_of, agreement_rows
from tests.metrics.picture_sets import pictures, write_pictures

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

N = 70


class Bright:
    """Reads a man in every picture whose first pixel is above the middle; frontal ones alone."""

    name = "bright"
    attributes = {"sex": ("F", "M")}  # noqa: RUF012 - never changed
    views = ("PA",)

    def read(self, images: Sequence[NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
        men = np.array([image[0, 0] > np.iinfo(image.dtype).max / 2 for image in images], float)
        return {"sex": np.stack([1 - men, men], 1)}


def test_images_of_other_views_do_not_count(tmp_path: Path) -> None:
    shown = pictures(3, N)
    for at, one in enumerate(shown):
        one[0, 0] = 255 * (at % 2)
    sexes = ["FM"[at % 2] for at in range(N)]
    sexes[4] = "M"  # wrong, and seen
    sexes[6] = "M"  # wrong, and lateral
    views = ["LATERAL" if at == 6 else "PA" for at in range(N)]
    images = ImageSet.open(write_pictures(tmp_path / "set", shown, {"sex": sexes, "view": views}))
    whole, women, men = agreement_of(images, Bright())
    assert (whole.n, whole.agreed) == (N - 1, N - 2)
    assert (women.asked, women.n, women.agreed) == ("F", N // 2 - 2, N // 2 - 2)
    assert (men.asked, men.n, men.agreed) == ("M", N // 2 + 1, N // 2)
    rows = agreement_rows((whole, women))
    assert [len(row) for row in rows] == [len(HEADS)] * 2
    assert rows[1][:3] == ("sex", "F", "100.0%")


def test_a_table_that_says_nothing_is_told(tmp_path: Path) -> None:
    lateral = write_pictures(tmp_path / "a", pictures(1, 2), {"sex": ["F", "M"], "view": ["LATERAL"] * 2})
    with pytest.raises(InputError, match="states nothing that bright reads"):
        agreement_of(ImageSet.open(lateral), Bright())
    other = write_pictures(tmp_path / "b", pictures(1, 2), {"view": ["PA"] * 2})
    with pytest.raises(InputError, match="no column 'sex'"):
        agreement_of(ImageSet.open(other), Bright())
