from __future__ import annotations

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid

from synth.core.errors import InputError
from synth.metrics.images.files import ALPHA, DEEP_COLOUR, LUMINANCE, narrow, read_file, to_grey

RANDOM = np.random.default_rng(5)
GREY = RANDOM.integers(0, 256, (9, 7), dtype=np.uint8)
DEEP = RANDOM.integers(0, 65536, (9, 7), dtype=np.uint16)


def write_dicom(path, pixels, *, kind="MONOCHROME2", bits=12):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    data = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, kind, 0
    data.BitsAllocated, data.BitsStored, data.HighBit = pixels.dtype.itemsize * 8, bits, bits - 1
    data.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    pydicom.dcmwrite(path, data, enforce_file_format=True)


@pytest.mark.parametrize("ending", ["png", "tif", "tiff", "bmp", "PNG"])
def test_grey_values_come_back_as_stored(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    Image.fromarray(GREY).save(path)
    assert np.array_equal(read_file(path).pixels, GREY)
    if ending.lower() != "bmp":
        Image.fromarray(DEEP).save(path)
        read = read_file(path)
        assert read.pixels.dtype == np.uint16
        assert np.array_equal(read.pixels, DEEP)
        assert read.notes == ()


def test_one_bit_and_32_bit(tmp_path):
    Image.fromarray(GREY > 99).save(tmp_path / "one.png")
    assert np.array_equal(read_file(tmp_path / "one.png").pixels, np.where(GREY > 99, 255, 0))
    Image.fromarray(DEEP.astype(np.int32)).save(tmp_path / "int.tif")
    assert np.array_equal(read_file(tmp_path / "int.tif").pixels, DEEP)
    Image.fromarray(DEEP.astype(np.float32) / 65535).save(tmp_path / "float.tif")
    with pytest.raises(InputError, match=r"float\.tif: values .* not whole numbers"):
        read_file(tmp_path / "float.tif")


def test_equal_channels_lose_nothing_and_colour_is_noted(tmp_path):
    Image.fromarray(np.dstack([GREY] * 3)).save(tmp_path / "grey.png")
    read = read_file(tmp_path / "grey.png")
    assert np.array_equal(read.pixels, GREY)
    assert read.notes == ()
    colour = RANDOM.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    Image.fromarray(colour).save(tmp_path / "colour.png")
    read = read_file(tmp_path / "colour.png")
    assert read.notes == (LUMINANCE,)
    assert np.array_equal(read.pixels, np.asarray(Image.fromarray(colour).convert("L")))


def test_luminance_at_16_bits_is_that_of_the_standard():
    colour = RANDOM.integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    grey, _ = to_grey(colour)
    assert np.abs(grey - colour @ [0.299, 0.587, 0.114]).max() < 1.5


def test_alpha_and_palette(tmp_path):
    opaque, clear = np.full_like(GREY, 255), np.full_like(GREY, 255)
    clear[0, 0] = 7
    Image.fromarray(np.dstack([GREY, opaque])).save(tmp_path / "opaque.png")
    Image.fromarray(np.dstack([GREY, GREY, GREY, clear])).save(tmp_path / "clear.png")
    palette = Image.fromarray(GREY // 2)
    palette.putpalette([255 - value // 3 for value in range(768)])
    palette.save(tmp_path / "palette.png")
    assert read_file(tmp_path / "opaque.png").notes == ()
    assert read_file(tmp_path / "clear.png").notes == (ALPHA,)
    for name in ("opaque", "clear"):
        assert np.array_equal(read_file(tmp_path / f"{name}.png").pixels, GREY)
    assert np.array_equal(read_file(tmp_path / "palette.png").pixels, 255 - GREY // 2)


def test_deep_colour_is_noted(tmp_path):
    png = b"\x89PNG\r\n\x1a\n"
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + np.dstack([row[None]] * 3).astype(">u2").tobytes() for row in DEEP)
    head = struct.pack(">IIBBBBB", 7, 9, 16, 2, 0, 0, 0)
    path = tmp_path / "deep.png"
    path.write_bytes(png + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    read = read_file(path)
    assert DEEP_COLOUR in read.notes
    assert np.array_equal(read.pixels, DEEP >> 8)


def test_dicom_is_read_and_monochrome_1_inverted(tmp_path):
    twelve = DEEP >> 4
    for kind, expected in (("MONOCHROME2", twelve), ("MONOCHROME1", 4095 - twelve)):
        write_dicom(tmp_path / "a", twelve, kind=kind)
        read = read_file(tmp_path / "a")
        assert read.pixels.dtype == np.uint16
        assert np.array_equal(read.pixels, expected)
    write_dicom(tmp_path / "b.dcm", GREY, bits=8)
    assert np.array_equal(read_file(tmp_path / "b.dcm").pixels, GREY)
    assert read_file(tmp_path / "b.dcm").pixels.dtype == np.uint8


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "dcm"])
def test_truncated_empty_and_foreign_files_are_named(tmp_path, ending):
    path = tmp_path / f"broken.{ending}"
    if ending == "dcm":
        write_dicom(path, DEEP)
    else:
        Image.fromarray(RANDOM.integers(0, 256, (64, 64), dtype=np.uint8)).save(path)
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], whole[:40], b"", b"not an image at all"):
        path.write_bytes(data)
        with pytest.raises(InputError, match=rf"broken\.{ending}") as caught:
            read_file(path)
        assert "\n" not in str(caught.value)


def test_several_frames_are_refused(tmp_path):
    frames = [Image.fromarray(GREY), Image.fromarray(GREY)]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match="holds 2 images"):
        read_file(tmp_path / "two.tif")


def test_narrow_keeps_values_or_refuses():
    assert np.array_equal(narrow(GREY.astype(np.float64), "x"), GREY)
    assert narrow(GREY.astype(np.int64), "x").dtype == np.uint8
    assert narrow(GREY.astype(np.int64), "x", keep_8_bits=False).dtype == np.uint16
    assert narrow(DEEP.astype(">u2"), "x").dtype == np.uint16
    for bad in (-GREY.astype(float) - 1, GREY + 70000.0, GREY + 0.5, np.full((2, 2), np.nan), np.array([["a"]])):
        with pytest.raises(InputError, match=r"^x: "):
            narrow(bad, "x")
