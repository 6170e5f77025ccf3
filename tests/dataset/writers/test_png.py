from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synth.core.errors import InputError
from synth.dataset.writers.png import PNG_MARK, read_png, write_png

IMAGES = {
    "ramp": np.arange(65536, dtype=np.uint16).reshape(256, 256),
    "noise": np.random.default_rng(0).integers(0, 65536, (33, 70), dtype=np.uint16),
    "one pixel": np.array([[513]], np.uint16),
    "strided": np.arange(1200, dtype=np.uint16).reshape(30, 40)[::2, ::-1].T,
}


@pytest.mark.parametrize("name", IMAGES)
def test_round_trip_keeps_every_bit(tmp_path: Path, name: str) -> None:
    write_png(tmp_path / "new folder" / "a.png", IMAGES[name], {"View": "PA"})
    image, text = read_png(tmp_path / "new folder" / "a.png")
    np.testing.assert_array_equal(image, IMAGES[name])
    assert text == {**PNG_MARK, "View": "PA"}


def test_file_is_16_bit_grayscale_and_marked_in_plain_text(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", IMAGES["ramp"])
    data = (tmp_path / "a.png").read_bytes()
    assert data[24:26] == bytes([16, 0])  # IHDR: bit depth, colour type
    assert b"tEXtSynthetic\0YES" in data
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "I;16"


def test_equal_images_give_equal_bytes_and_no_leftover(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_png(tmp_path / name, IMAGES["noise"])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize(("shape", "dtype"), [((3, 3), np.uint8), ((3, 3, 1), np.uint16), ((0, 3), np.uint16)])
def test_other_arrays_are_refused(tmp_path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    with pytest.raises(InputError, match="expected a uint16 image"):
        write_png(tmp_path / "a.png", np.zeros(shape, dtype))
    assert not any(tmp_path.iterdir())


def test_unreadable_files_are_input_errors(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "8bit.png")
    write_png(tmp_path / "cut.png", IMAGES["noise"])
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:900])
    for name in ("text.png", "8bit.png", "cut.png", "missing.png"):
        with pytest.raises(InputError, match=name):
            read_png(tmp_path / name)
