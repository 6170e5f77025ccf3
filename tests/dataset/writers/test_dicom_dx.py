import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK

from synth.core.errors import InputError
from synth.core.record import Mask, Record, Sample
from synth.dataset.writers.dicom_dx import dx_dataset, write_dx
from synth.dataset.writers.dicom_views import view_of
from tests.dataset.writers.iod_checks import complaints

IMAGE = np.linspace(0, 65535, 48 * 40).astype(np.uint16).reshape(48, 40)
GEOMETRY = {"source_detector_mm": 1800.0, "source_isocentre_mm": 1500.0, "kvp": 120.0}
OBLIQUE = GEOMETRY | {"primary_angle_deg": -30.0, "secondary_angle_deg": 20.0}


def sample(view: str = "PA", geometry: dict[str, float] | None = None, index: int = 3, **said: object) -> Sample:
    record = Record(view, **{"source": "ct:patient-x", **said})  # type: ignore[arg-type]
    return Sample(index, IMAGE, record, (), (0.3, 0.4), GEOMETRY if geometry is None else geometry)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
@pytest.mark.parametrize("said", [{}, {"sex": "F", "age": 63.0}, {"sex": "M", "age": 0.7}], ids=["nobody", "F63", "M0"])
@pytest.mark.parametrize(
    ("view", "geometry"),
    [("PA", None), ("AP", {}), ("LATERAL", None), ("LAO45", None), ("RAO30CRA20", OBLIQUE), ("CAU15", {})],
)
def test_dciodvfy_finds_no_error(
    tmp_path: Path, view: str, geometry: dict[str, float] | None, said: dict[str, object]
) -> None:
    write_dx(tmp_path / "a.dcm", sample(view, geometry, **said), uid_seed="seed")
    done = subprocess.run(["dciodvfy", "-new", str(tmp_path / "a.dcm")], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert "DXImageForPresentation" in lines
    # Dates are left empty, which only a DICOMDIR would mind.
    complaints = [line for line in lines if "Error" in line or "Warning" in line]
    assert [line for line in complaints if "build DICOMDIR" not in line] == []


def test_the_standard_misses_nothing() -> None:
    ds = dx_dataset(sample(), uid_seed="seed")
    assert list(complaints(ds, "digital-x-ray-image")) == []
    del ds.PixelIntensityRelationship
    ds.SliceThickness = 1
    assert list(complaints(ds, "digital-x-ray-image")) == [
        "dx-image: no PixelIntensityRelationship",
        "SliceThickness does not belong in digital-x-ray-image",
    ]


def test_pydicom_and_simpleitk_read_the_pixels(tmp_path: Path) -> None:
    write_dx(tmp_path / "a.dcm", sample(), uid_seed="seed")
    np.testing.assert_array_equal(pydicom.dcmread(tmp_path / "a.dcm").pixel_array, IMAGE)
    image = SimpleITK.ReadImage(str(tmp_path / "a.dcm"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image).squeeze(), IMAGE)


def test_what_the_object_says(tmp_path: Path) -> None:
    write_dx(tmp_path / "a.dcm", sample("LATERAL", sex="F", age=63.9), uid_seed="seed")
    ds = pydicom.dcmread(tmp_path / "a.dcm")
    assert ds.SOPClassUID == "1.2.840.10008.5.1.4.1.1.1.1"
    assert (ds.BurnedInAnnotation, list(ds.ImageType)) == ("NO", ["DERIVED", "PRIMARY"])
    assert "Synthetic" in ds.DerivationDescription
    assert str(ds.PatientName).startswith("SYNTHETIC^")
    assert (ds.PatientSex, ds.PatientAge) == ("F", "063Y")
    assert list(ds.PatientOrientation) == ["P", "F"]
    assert (ds.ViewPosition, ds.ViewCodeSequence[0].CodeMeaning) == ("LL", "left lateral")
    assert (ds.PositionerPrimaryAngle, ds.KVP, ds.DistanceSourceToDetector) == (90, 120, 1800)
    assert ds.EstimatedRadiographicMagnificationFactor == pytest.approx(1.2)
    assert list(ds.ImagerPixelSpacing) == [0.3, 0.4]
    # Brighter means less beam, which the standard writes as -1.
    assert (ds.PhotometricInterpretation, ds.PixelIntensityRelationshipSign) == ("MONOCHROME2", -1)
    assert not [element for element in ds.iterall() if element.VR in {"DA", "TM", "DT"} and element.value]


def test_nothing_of_the_source_or_a_path_is_in_the_file(tmp_path: Path) -> None:
    write_dx(tmp_path / "secret-folder" / "a.dcm", sample(source="ct:MRN12345"), uid_seed="seed")
    data = (tmp_path / "secret-folder" / "a.dcm").read_bytes()
    for word in (b"MRN12345", b"secret-folder", str(tmp_path).encode()):
        assert word not in data


def test_equal_samples_give_equal_bytes_and_others_other_identifiers(tmp_path: Path) -> None:
    for name in ("a.dcm", "b.dcm"):
        write_dx(tmp_path / name, sample(), uid_seed="seed")
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    variants = (sample(), sample(index=4), sample(source="ct:other"))
    one, next_view, other_patient = (dx_dataset(variant, uid_seed="seed") for variant in variants)
    assert one.SOPInstanceUID != next_view.SOPInstanceUID
    assert one.StudyInstanceUID == next_view.StudyInstanceUID
    assert one.PatientID == next_view.PatientID != other_patient.PatientID
    assert one.SOPInstanceUID != dx_dataset(sample(), uid_seed="other seed").SOPInstanceUID
    assert one.SOPInstanceUID.startswith("2.25.")
    assert len(one.SOPInstanceUID) <= 64


def test_images_of_a_nameless_source_are_patients_of_their_own() -> None:
    first, second = (dx_dataset(sample(index=n, source="phantom"), uid_seed="seed") for n in (0, 1))
    assert first.PatientID != second.PatientID


def test_unknown_spacing_is_nominal_and_says_so() -> None:
    ds = dx_dataset(Sample(0, IMAGE, Record("PA")), uid_seed="seed")
    assert float(ds.ImagerPixelSpacing[0]) == pytest.approx(430 / 48)
    assert "nominal" in ds.ImageComments


def test_chest_is_said_where_lungs_are_seen() -> None:
    lungs = Sample(0, IMAGE, Record("PA"), (Mask("lung_upper_lobe_left", IMAGE > 9),))
    assert dx_dataset(lungs, uid_seed="seed").BodyPartExamined == "CHEST"
    assert "BodyPartExamined" not in dx_dataset(sample(), uid_seed="seed")


@pytest.mark.parametrize(
    ("name", "orientation", "meaning"),
    [
        ("PA", ("L", "F"), "postero-anterior"),
        ("AP", ("L", "F"), "antero-posterior"),
        ("LATERAL", ("P", "F"), "left lateral"),
        ("RAO90", ("A", "F"), "right lateral"),
        ("LAO30", ("LP", "F"), "left anterior oblique"),
        ("RAO60", ("AL", "F"), "right anterior oblique"),
        ("LPO30", ("LA", "F"), "left posterior oblique"),
        ("RPO30", ("LP", "F"), "right posterior oblique"),
        ("CRA20", ("L", "FA"), "postero-anterior"),
    ],
)
def test_views(name: str, orientation: tuple[str, str], meaning: str) -> None:
    view = view_of(name, {})
    assert view.patient_orientation == orientation
    assert view.code[2] == meaning


def test_angles_of_the_geometry_win_over_the_name() -> None:
    view = view_of("AP", {"primary_angle_deg": -178.0, "secondary_angle_deg": -10.0})
    assert (view.primary_deg, view.secondary_deg) == (-178.0, -10.0)
    assert view.modifier is not None
    assert view.modifier[2] == "caudad"
    assert view_of("anything", {"primary_angle_deg": 450.0}).position == "LL"


@pytest.mark.parametrize("name", ["", "pa", "LAO", "LAO45RAO3", "FRONT"])
def test_unknown_views_are_input_errors(name: str) -> None:
    with pytest.raises(InputError, match="is none of PA, AP, LATERAL"):
        dx_dataset(sample(name), uid_seed="seed")
