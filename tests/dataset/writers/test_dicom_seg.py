import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from synth.core.errors import InputError
from synth.core.record import Mask, Record, Sample, ScanSample
from synth.core.volume import Labels
from synth.dataset.writers.dicom_ct import write_ct_series
from synth.dataset.writers.dicom_dx import dx_dataset
from synth.dataset.writers.dicom_seg import SegmentationKind, write_ct_seg, write_dx_seg
from tests.dataset.writers.iod_checks import complaints
from tests.dataset.writers.test_dicom_ct import AXES, SHAPE, affine, scan, world
from tests.dataset.writers.test_dicom_dx import IMAGE

highdicom = pytest.importorskip("highdicom", reason="segmentations are written through highdicom")

NAMES = {1: "heart", 2: "lung_upper_lobe_left", 7: "rib_left_3", 9: "nowhere"}
LABELS = np.zeros(SHAPE, np.uint8)
LABELS[1:4, 1:3, 2:6] = 1
LABELS[0, 4, 1:5] = 2
LABELS[2, 4:, 1:3] = 7
KINDS: tuple[SegmentationKind, ...] = ("binary", "labelmap")


def labelled(axes: str = "axial", array: np.ndarray = LABELS, index: int = 3) -> ScanSample:
    maps = {"total": Labels(array, affine(AXES[axes]), NAMES), "parts": Labels(array, affine(AXES[axes]), NAMES)}
    return replace(scan(AXES[axes], index=index, sex="F", age=63.0), maps=maps)


def masked(*masks: Mask) -> Sample:
    return Sample(3, IMAGE, Record("PA", "F", 63.0, source="phantom"), masks)


def box(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(IMAGE.shape, np.bool_)
    mask[rows, columns] = True
    return mask


OVERLAPPING = (
    Mask("heart", box(slice(10, 30), slice(12, 25))),
    Mask("empty", box(slice(0, 0), slice(0, 0))),
    Mask("lung_left", box(slice(5, 40), slice(20, 38))),
    Mask("finding:nodule", box(slice(12, 15), slice(22, 26))),
    Mask("finding:nodule", box(slice(30, 33), slice(22, 26))),
)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", AXES)
def test_highdicom_reads_the_label_map_at_its_place(tmp_path: Path, name: str, kind: SegmentationKind) -> None:
    assert write_ct_seg(tmp_path / "seg.dcm", labelled(name), "total", uid_seed="seed", kind=kind)
    segmentation = highdicom.seg.segread(tmp_path / "seg.dcm")
    assert [segmentation.get_segment_description(n).segment_label for n in (1, 2, 3)] == [*NAMES.values()][:3]
    found = segmentation.get_volume(combine_segments=True)
    # highdicom's affine takes (slice, row, column); where its voxels lie decides, whichever way they are stacked.
    k, j, i = np.nonzero(found.array)
    at = np.stack([k, j, i], axis=-1) @ found.affine[:3, :3].T + found.affine[:3, 3]
    value = np.array([0, 1, 2, 7])[found.array[k, j, i]]
    where = world(affine(AXES[name]), SHAPE)[LABELS > 0]
    theirs = sorted(map(tuple, np.column_stack([at, value]).round(3).tolist()))
    ours = sorted(map(tuple, np.column_stack([where, LABELS[LABELS > 0]]).round(3).tolist()))
    np.testing.assert_allclose(theirs, ours, atol=2e-3)


def test_frames_belong_to_the_slices_of_the_series(tmp_path: Path) -> None:
    sample = labelled("feet first")
    write_ct_series(tmp_path / "ct", sample, uid_seed="seed")
    write_ct_seg(tmp_path / "seg.dcm", sample, "total", uid_seed="seed")
    slices = [pydicom.dcmread(path) for path in sorted((tmp_path / "ct").iterdir())]
    segmentation = highdicom.seg.segread(tmp_path / "seg.dcm")
    found = segmentation.get_pixels_by_source_instance(
        [one.SOPInstanceUID for one in slices], combine_segments=True, assert_missing_frames_are_empty=True
    )
    np.testing.assert_array_equal(np.array([0, 1, 2, 7])[found], LABELS[::-1])
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName", "PatientAge"):
        assert segmentation[keyword].value == slices[0][keyword].value
    assert segmentation.ReferencedSeriesSequence[0].SeriesInstanceUID == slices[0].SeriesInstanceUID
    assert segmentation.SeriesInstanceUID != slices[0].SeriesInstanceUID


def test_pydicom_and_simpleitk_read_the_frames(tmp_path: Path) -> None:
    write_ct_seg(tmp_path / "seg.dcm", labelled(), "total", uid_seed="seed")
    ds = pydicom.dcmread(tmp_path / "seg.dcm")
    frames = ds.PerFrameFunctionalGroupsSequence
    numbers = [int(one.SegmentIdentificationSequence[0].ReferencedSegmentNumber) for one in frames]
    assert numbers == [1, 1, 1, 2, 3]  # only slices that show a structure have a frame
    heights = np.array([one.PlanePositionSequence[0].ImagePositionPatient[2] for one in frames], float)
    z = np.rint((heights - 712.125) / 1.25).astype(int)
    assert sorted(z[:3]) == [1, 2, 3]
    expected = LABELS[z] == np.array([0, 1, 2, 7])[numbers][:, None, None]
    np.testing.assert_array_equal(ds.pixel_array, expected)
    read = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "seg.dcm"))) > 0
    # GDCM gets the last byte wrong where pixels fill it in part.
    np.testing.assert_array_equal(read.ravel()[:208], expected.ravel()[:208])


def test_what_the_segments_say(tmp_path: Path) -> None:
    write_ct_seg(tmp_path / "seg.dcm", labelled(), "total", uid_seed="seed")
    ds = pydicom.dcmread(tmp_path / "seg.dcm")
    heart, lobe, rib = ds.SegmentSequence
    assert (heart.SegmentedPropertyTypeCodeSequence[0].CodeMeaning, heart.SegmentAlgorithmType) == (
        "Heart",
        "AUTOMATIC",
    )
    for one, value in ((lobe, "45653009"), (rib, "113197003")):
        (kind,) = one.SegmentedPropertyTypeCodeSequence
        assert kind.CodeValue == value
        assert kind.SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    assert "not acquired from a patient" in ds.ImageComments
    assert ds.SegmentationType == "BINARY"


def test_a_radiographs_masks_may_overlap(tmp_path: Path) -> None:
    sample = masked(*OVERLAPPING)
    assert write_dx_seg(tmp_path / "seg.dcm", sample, uid_seed="seed")
    segmentation = highdicom.seg.segread(tmp_path / "seg.dcm")
    image = dx_dataset(sample, uid_seed="seed")
    found = segmentation.get_pixels_by_source_instance([image.SOPInstanceUID])
    seen = [mask for mask in OVERLAPPING if mask.array.any()]
    np.testing.assert_array_equal(found[0], np.stack([mask.array for mask in seen], axis=-1))
    assert [one.SegmentLabel for one in segmentation.SegmentSequence] == [mask.name for mask in seen]
    assert segmentation.StudyInstanceUID == image.StudyInstanceUID
    frames = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "seg.dcm")))
    np.testing.assert_array_equal(frames > 0, [mask.array for mask in seen])


def ct(path: Path, kind: SegmentationKind = "binary") -> bool:
    return write_ct_seg(path, labelled(), "total", uid_seed="seed", kind=kind)


WRITERS: dict[str, Callable[[Path], bool]] = {
    "ct": ct,
    "labelmap": lambda path: ct(path, "labelmap"),
    "dx": lambda path: write_dx_seg(path, masked(*OVERLAPPING), uid_seed="seed"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_equal_input_gives_equal_bytes_at_any_time(tmp_path: Path, name: str) -> None:
    for number in (1, 2):
        assert WRITERS[name](tmp_path / f"{number}.dcm")
    assert (tmp_path / "1.dcm").read_bytes() == (tmp_path / "2.dcm").read_bytes()
    ds = pydicom.dcmread(tmp_path / "1.dcm")
    told = {str(element.value) for element in ds.iterall() if element.VR in {"DA", "TM", "DT"} and element.value}
    assert told == {"19000101", "000000"}  # the standard demands one
    uids = {str(element.value) for element in ds.iterall() if element.VR == "UI" and "SOPClass" not in element.keyword}
    assert all(uid.startswith("2.25.") for uid in uids)


@pytest.mark.parametrize("name", ["ct", "dx"])
def test_the_standard_misses_nothing(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / "seg.dcm")
    assert list(complaints(pydicom.dcmread(tmp_path / "seg.dcm"), "segmentation")) == []


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
@pytest.mark.parametrize("name", ["ct", "dx"])
def test_dciodvfy_finds_no_error(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / "seg.dcm")
    plain = pydicom.dcmread(tmp_path / "seg.dcm")
    plain.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    plain.save_as(tmp_path / "plain.dcm")
    done = subprocess.run(["dciodvfy", "-new", "plain.dcm"], cwd=tmp_path, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert "Segmentation" in lines
    assert [line for line in lines if "Error" in line] == []


def test_maps_and_samples_have_identifiers_of_their_own(tmp_path: Path) -> None:
    write_ct_seg(tmp_path / "a.dcm", labelled(), "total", uid_seed="seed")
    write_ct_seg(tmp_path / "b.dcm", labelled(), "parts", uid_seed="seed")
    write_ct_seg(tmp_path / "c.dcm", labelled(index=4), "total", uid_seed="seed")
    objects = [pydicom.dcmread(tmp_path / f"{name}.dcm") for name in "abc"]
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert len({one[keyword].value for one in objects}) == 3


def test_where_nothing_is_seen_nothing_is_written(tmp_path: Path) -> None:
    assert not write_ct_seg(tmp_path / "a.dcm", labelled(array=np.zeros_like(LABELS)), "total", uid_seed="seed")
    assert not write_dx_seg(tmp_path / "b.dcm", masked(OVERLAPPING[1]), uid_seed="seed")
    assert list(tmp_path.iterdir()) == []


def test_many_labels_and_names_too_long_for_the_standard(tmp_path: Path) -> None:
    array = np.zeros((4, 20, 20), np.uint16)
    array.ravel()[: 3 * 400 : 4] = np.arange(300) + 1000
    sample = replace(
        scan(hu=np.zeros(array.shape, np.int16)),
        maps={"m": Labels(array, affine(np.eye(3)), {1000: "n" * 80, 1002: "胸\\x", 1003: ""})},
    )
    write_ct_seg(tmp_path / "seg.dcm", sample, "m", uid_seed="seed")
    ds = pydicom.dcmread(tmp_path / "seg.dcm")
    assert len(ds.SegmentSequence) == 300
    assert [one.SegmentLabel for one in ds.SegmentSequence[:4]] == ["n" * 64, "label_1001", "胸/x", "label_1003"]


@pytest.mark.parametrize(("array", "axes"), [(LABELS[:2].copy(), "axial"), (LABELS, "feet first")])
def test_a_map_on_another_grid_is_refused(tmp_path: Path, array: np.ndarray, axes: str) -> None:
    sample = replace(labelled(), maps={"total": Labels(array, affine(AXES[axes]), NAMES)})
    with pytest.raises(InputError, match="map 'total' does not lie on the CT's grid"):
        write_ct_seg(tmp_path / "seg.dcm", sample, "total", uid_seed="seed")


def test_without_highdicom_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(InputError, match=r"pip install 'radsynth\[dicom\]'"):
        ct(tmp_path / "seg.dcm")
