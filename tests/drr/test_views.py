"""Clinical views: left, right, front and head where a radiologist expects them, and DICOM's words for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.dataset.writers.dicom_views import view_of
from synth.drr.analytic import Scene, ellipsoid
from synth.drr.body import volume_corners
from synth.drr.projector import Projector
from synth.drr.views import fit_camera, parse_view

if TYPE_CHECKING:
    from synth.core.volume import Volume

LEFT, FRONT, HEAD = np.eye(3) * [[1], [-1], [1]]
RIGHT, BACK, FEET = -LEFT, -FRONT, -HEAD

# Where the markers lie in the picture: sign along u (+ right) of left and front, sign along v (+ down) of head and
# front; 0: not far to either side. The frontal views show the patient's right on the image's left; a left lateral has
# the front on the image's left; obliques are seen from the detector, or through the patient where that is behind.
EXPECTED = {
    "pa": (1, 0, -1, 0),
    "ap": (1, 0, -1, 0),
    "lateral": (0, -1, -1, 0),
    "rlateral": (0, 1, -1, 0),
    "lao45": (1, -1, -1, 0),
    "rao45": (1, 1, -1, 0),
    "lpo45": (1, 1, -1, 0),
    "rpo45": (1, -1, -1, 0),
    "cra30": (1, 0, -1, 1),
    "cau30": (1, 0, -1, -1),
    "lao30cra20": (1, -1, -1, 1),
}
ANGLES = {
    "pa": (0, 0), "ap": (180, 0), "lateral": (90, 0), "rlateral": (-90, 0), "lao45": (45, 0), "rao45": (-45, 0),
    "lpo45": (135, 0), "rpo45": (-135, 0), "cra30": (0, 30), "cau30": (0, -30), "lao30cra20": (30, 20),
}  # fmt: skip


def markers() -> tuple[Volume, Any]:
    """One ball at the left, two at the right, one in front, one at the head; and where they are."""
    points = {"left": 60 * LEFT, "right": 60 * RIGHT, "front": 60 * FRONT, "head": 60 * HEAD}
    places = [points["left"], points["right"] + 8 * HEAD, points["right"] - 8 * HEAD, points["front"], points["head"]]
    scene = Scene(tuple(ellipsoid(place, (5, 5, 5), 3000) for place in places))
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[:3, 3] = -74
    return scene.voxelise((38, 38, 38), affine)[0], places


@pytest.fixture(scope="module")
def projector() -> Projector:
    return Projector(markers()[0], backend="cpu")


def camera_of(name: str, shape: tuple[int, int] = (90, 90)) -> Any:
    corners = volume_corners(markers()[0])
    return fit_camera(parse_view(name), corners, corners, shape)


@pytest.mark.parametrize("name", EXPECTED)
def test_markers_are_on_the_right_side(projector: Projector, name: str) -> None:
    camera = camera_of(name)
    image = projector.line_integrals([camera])[0]
    pixels = camera.to_pixels(markers()[1])
    for u, v in pixels:  # the picture shows a ball where each is expected
        patch = image[round(v) - 2 : round(v) + 3, round(u) - 2 : round(u) + 3]
        assert patch.mean() > 0.1
    left, upper, lower, front, head = pixels - camera.to_pixels([0, 0, 0])
    right = (upper + lower) / 2
    left_u, front_u, head_v, front_v = EXPECTED[name]
    assert sign(left[0]) == left_u
    assert sign(right[0]) == -left_u
    assert sign(front[0]) == front_u
    assert sign(head[1]) == head_v
    assert sign(front[1]) == front_v
    assert upper[1] < lower[1]


def sign(pixels: float) -> int:
    """−1, 0 or 1: beyond an eighth of the largest distance from the middle."""
    return int(np.sign(pixels)) if abs(pixels) > 4 else 0


def test_frontal_and_lateral_as_they_hang() -> None:
    assert (parse_view("pa").right == LEFT).all()
    np.testing.assert_allclose(parse_view("ap").right, LEFT, atol=1e-12)
    np.testing.assert_allclose(parse_view("lateral").right, BACK, atol=1e-12)
    np.testing.assert_allclose(parse_view("rlateral").right, FRONT, atol=1e-12)
    for name, detector in [("pa", FRONT), ("ap", BACK), ("lateral", LEFT), ("rlateral", RIGHT)]:
        np.testing.assert_allclose(parse_view(name).towards_detector, detector, atol=1e-12)
        np.testing.assert_allclose(parse_view(name).down, FEET, atol=1e-12)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(parse_view("lao45").towards_detector, half * (LEFT + FRONT), atol=1e-12)
    np.testing.assert_allclose(parse_view("rao45").towards_detector, half * (RIGHT + FRONT), atol=1e-12)
    np.testing.assert_allclose(parse_view("lpo45").towards_detector, half * (LEFT + BACK), atol=1e-12)
    np.testing.assert_allclose(parse_view("rpo45").towards_detector, half * (RIGHT + BACK), atol=1e-12)
    np.testing.assert_allclose(parse_view("cra30").towards_detector, np.sqrt(0.75) * FRONT + HEAD / 2, atol=1e-12)
    np.testing.assert_allclose(parse_view("cau30").towards_detector, np.sqrt(0.75) * FRONT + FEET / 2, atol=1e-12)


@pytest.mark.parametrize("name", EXPECTED)
def test_axes_are_orthonormal(name: str) -> None:
    view = parse_view(name)
    axes = np.stack([view.right, view.down, view.towards_detector])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("name", EXPECTED)
def test_angles_are_dicoms(name: str) -> None:
    view, camera = parse_view(name), camera_of(name)
    np.testing.assert_allclose((view.primary_deg, view.secondary_deg), ANGLES[name], atol=1e-9)
    np.testing.assert_allclose(camera.angles, ANGLES[name], atol=1e-6)
    geometry = {"primary_angle_deg": camera.angles[0], "secondary_angle_deg": camera.angles[1]}
    dicom = view_of(view.name, geometry)
    np.testing.assert_allclose((dicom.primary_deg, dicom.secondary_deg), ANGLES[name], atol=1e-6)


@pytest.mark.parametrize("tilt", ["", "cra25", "cau70"])
@pytest.mark.parametrize("turn", ["pa", "ap", "lateral", "lao20", "lao70", "rao20", "rao70", "lpo20", "lpo70", "rpo20"])
def test_patient_orientation_is_where_rows_and_columns_run(turn: str, tilt: str) -> None:
    # Letters by falling share; axes within 6° of square are left out.
    if tilt and turn in ("pa", "ap", "lateral"):
        turn = {"pa": "", "ap": "lpo0", "lateral": "lao90"}[turn]
    view = parse_view(turn + tilt)
    dicom = view_of(view.name, {})
    np.testing.assert_allclose((dicom.primary_deg, dicom.secondary_deg), (view.primary_deg, view.secondary_deg))
    assert dicom.patient_orientation == (letters(view.right), letters(view.down))


def letters(direction: Any) -> str:
    parts = [(abs(value), pair[int(value < 0)]) for value, pair in zip(direction, ("LR", "PA", "HF"), strict=True)]
    return "".join(letter for share, letter in sorted(parts, key=lambda part: -part[0]) if share > 0.1)


@pytest.mark.parametrize("name", ["", "px", "lao", "lao95", "lao30cra91", "cra30lao10", "lao-5", "lateral45"])
def test_unknown_names(name: str) -> None:
    with pytest.raises(InputError, match=r"view"):
        parse_view(name)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("shape", [(64, 64), (48, 96), (100, 30)])
def test_the_body_is_in_the_picture(name: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    body = rng.uniform(-1, 1, (60, 3)) * [170, 110, 190] + [20, -260, 900]
    corners = np.array([[x, y, z] for x in (-200, 240) for y in (-400, -100) for z in (700, 1100)], float)
    camera = fit_camera(parse_view(name), body, corners, shape)
    pixels = camera.to_pixels(body)
    assert pixels.min() >= -0.5
    assert (pixels <= np.array(shape[::-1]) - 0.5).all()
    fill = (np.ptp(pixels, axis=0) / shape[::-1]).max()  # one direction is filled but for the margin
    assert 0.95 < fill < 0.98
    np.testing.assert_allclose(pixels.min(0) + pixels.max(0), np.array(shape[::-1]) - 1, atol=1e-6)
    towards = camera.centre - camera.source
    assert ((corners - camera.centre) @ parse_view(name).towards_detector).max() < 0  # the detector is behind it all
    assert camera.pitch_mm[0] == pytest.approx(camera.pitch_mm[1])
    assert camera.source_detector_mm == pytest.approx(parse_view(name).source_detector_mm)
    assert np.linalg.norm(towards) >= camera.source_detector_mm - 1e-6
    assert camera.source_isocentre_mm is not None


def test_distances_and_field_of_view_as_asked() -> None:
    corners = volume_corners(markers()[0])
    isocentre = np.array([10.0, 5, -7])
    camera = fit_camera(
        parse_view("rao30"), corners, corners, (40, 80), source_detector_mm=1200, source_isocentre_mm=700,
        field_of_view_mm=400, isocentre=isocentre,
    )  # fmt: skip
    assert camera.source_detector_mm == pytest.approx(1200)
    assert np.linalg.norm(camera.source - isocentre) == pytest.approx(700)
    assert camera.source_isocentre_mm == 700
    np.testing.assert_allclose(camera.pitch_mm, 5)
    np.testing.assert_allclose(camera.source + 700 * parse_view("rao30").towards_detector, isocentre)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source_detector_mm": 60.0}, "must lie between 0 and"),
        ({"source_isocentre_mm": 1900.0}, "must lie between 0 and"),
        ({"source_isocentre_mm": 50.0}, "source would be inside the body"),
        ({"source_isocentre_mm": 1750.0}, "detector would be inside the body"),
    ],
)
def test_contradictions(options: dict[str, float], message: str) -> None:
    corners = volume_corners(markers()[0])
    with pytest.raises(InputError, match=message):
        fit_camera(parse_view("pa"), corners, corners, (40, 40), **options)  # type: ignore[arg-type]
