"""Low dose against the theory of noise in filtered back-projection."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.reading import read_volume
from synth.core.volume import Volume
from synth.drr.ct_dose import KERNELS, Protocol, Rays, bow_tie
from synth.drr.low_dose import low_dose, noise_slices, slice_count
from synth.drr.parallel_beam import ParallelBeam, noise_variance

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RADIUS = 160.0
THICK = 2.5
QUIET = Protocol(electronic=0.0)


def grid(n: int, spacing: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = (np.indices((n, n)) - (n - 1) / 2) * spacing
    return y, x


def water(n: int = 128, spacing: float = 2.8, slices: int = 1, radius: float = RADIUS) -> Volume:
    hu = np.where(np.hypot(*grid(n, spacing)) < radius, 0, -1000).astype(np.float32)
    return Volume(np.repeat(hu[None], slices, 0), np.diag([spacing, spacing, THICK, 1.0]), "water")


def noise(volume: Volume, dose: float, seed: int = 1, protocol: Protocol = QUIET) -> NDArray[np.float64]:
    return np.stack(list(noise_slices(volume, dose, seed=seed, protocol=protocol))).astype(np.float64)


def ray_variance(
    y: NDArray[np.float64], x: NDArray[np.float64], dose: float, protocol: Protocol, weights: object = None
) -> float:
    """Mean over all directions and the points given of a ray's added variance, in the cylinder of water, mm²."""
    angle = np.arange(360) * np.pi / 360
    s = x[:, None] * np.cos(angle) + y[:, None] * np.sin(angle)
    depth = 2 * np.sqrt(RADIUS**2 - s**2) + bow_tie(s)
    by_point = protocol.extra_variance(depth, dose, Rays(0.5, THICK, 720)).mean(1)
    return float(np.average(by_point, weights=weights))  # type: ignore[call-overload]


def test_lines_through_a_disc_are_chords() -> None:
    n, spacing, radius = 300, 1.0, 100.0
    beam = ParallelBeam((n, n), (spacing, spacing), 180, 1.0)
    inside = np.clip(radius - np.hypot(*grid(n, spacing)) + 0.5, 0, 1)
    lines = beam.project(inside.astype(np.float32), 90, 1)
    assert lines.shape == (91, beam.bins)
    chords = 2 * np.sqrt(np.maximum(radius**2 - beam.offsets**2, 0))
    near = np.abs(beam.offsets) < 0.9 * radius
    assert np.abs(lines - chords)[:, near].max() < 0.6
    assert lines.sum(1).mean() == pytest.approx(np.pi * radius**2, rel=1e-3)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.8, 1.5)])
def test_reconstruction_gives_back_the_slice(spacing: tuple[float, float]) -> None:
    y, x = (np.indices((200, 160)) - [[[99.5]], [[79.5]]]) * np.reshape(spacing, (2, 1, 1))
    smooth = (np.exp(-((x - 20) ** 2 + (y + 15) ** 2) / 800) + 2 * np.exp(-((x + 30) ** 2 + y**2) / 300)).astype(float)
    beam = ParallelBeam((200, 160), spacing, 360, 0.5)
    lines = beam.project(smooth.astype(np.float32), 360, 1)[:360]
    first = (lines.shape[1] - beam.bins) // 2
    back = beam.reconstruct(np.ascontiguousarray(lines[:, first : first + beam.bins]), 10.0)
    assert np.abs(back - smooth).max() < 0.01


def test_noise_of_white_rays_has_its_closed_form() -> None:
    beam = ParallelBeam((64, 64), (2.3, 2.3), 720, 0.5)
    rng = np.random.default_rng(0)
    for cutoff in KERNELS.values():
        seen = [beam.reconstruct(rng.standard_normal((720, beam.bins)).astype(np.float32), cutoff) for _ in range(8)]
        assert np.var(seen) == pytest.approx(noise_variance(beam, cutoff), rel=0.03)


def test_variance_in_a_cylinder_of_water() -> None:
    volume = water(slices=16)
    y, x = grid(128, 2.8)
    middle = np.hypot(y, x) < 50
    seen = noise(volume, 0.5)[:, middle]
    beam = ParallelBeam((128, 128), (2.8, 2.8), 720, 0.5)
    expected = 1e6 * noise_variance(beam, QUIET.cutoff, ray_variance(y[middle], x[middle], 0.5, QUIET))
    assert (seen**2).mean() == pytest.approx(expected, rel=0.04)
    assert abs(seen.mean()) < 4 * np.sqrt(expected / seen.size)
    # The level is that of the scanners it stands for: 32 cm of water, 120 kVp, 200 mAs, 2.5 mm.
    assert 8 < np.sqrt(expected) < 20


def test_power_goes_as_frequency_times_the_window_squared() -> None:
    n, spacing, side = 512, 0.7, 128
    protocol = Protocol(kernel="soft", electronic=0.0)
    part = slice((n - side) // 2, (n + side) // 2)
    seen = noise(water(n, spacing, 16), 0.25, protocol=protocol)[:, part, part]
    taper = np.hanning(side + 1)[:-1]
    taper2 = np.outer(taper, taper)
    power = (np.abs(np.fft.fft2(seen * taper2)) ** 2).mean(0) * spacing**2 / (taper2**2).sum()
    f = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side, spacing)] * 2))
    y, x, seen_as = (c.ravel()[::37] for c in (*(c[part, part] for c in grid(n, spacing)), taper2**2))
    window = np.where(f < protocol.cutoff, 0.5 + 0.5 * np.cos(np.pi * f / protocol.cutoff), 0)
    kept = (2 + np.cos(2 * np.pi * f * 0.5)) / 3
    expected = 1e6 * np.pi * 0.5 / 720 * ray_variance(y, x, 0.25, protocol, seen_as) * f * window**2 * kept
    edges = [0.04, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4]
    for low, high in itertools.pairwise(edges):
        ring = (f >= low) & (f < high)
        assert power[ring].mean() == pytest.approx(expected[ring].mean(), rel=0.07)
    assert power[f > 0.62].mean() < 1e-3 * power.max()


def test_variance_goes_as_one_over_dose_less_one() -> None:
    volume = water()
    half = noise(volume, 0.5)
    for dose in (0.8, 0.25, 0.1, 0.01):
        ratio = noise(volume, dose).var() / half.var()
        assert ratio == pytest.approx(1 / dose - 1, rel=0.03)
    twice = Protocol(mas=2 * QUIET.mas, electronic=0.0)
    assert noise(volume, 0.5, protocol=twice).var() == pytest.approx(half.var() / 2, rel=1e-3)
    thick = Protocol(slice_thickness_mm=2 * THICK, electronic=0.0)
    assert noise(water(slices=8), 0.5, protocol=thick).var() == pytest.approx(half.var() / 2, rel=0.03)


def test_electronic_noise_counts_where_quanta_are_few() -> None:
    loud = Protocol(electronic=20.0)
    thin, thick = water(64, 2.8, radius=60), water(radius=170)
    gains = [noise(v, 0.05, protocol=loud).var() / noise(v, 0.05).var() for v in (thin, thick)]
    assert 1 < gains[0] < 1.5 < 3 < gains[1]
    assert loud.electronic_variance(Rays(0.6, 0.6, 1000)) == pytest.approx(400)


def test_kernels_differ_in_grain() -> None:
    levels = [noise(water(), 0.5, protocol=Protocol(kernel=kernel)).std() for kernel in ("soft", "standard", "sharp")]
    assert levels[0] < 0.75 * levels[1] < 0.75 * 0.85 * levels[2]


def test_shoulders_make_streaks_from_side_to_side() -> None:
    volume = water(512, 0.7, radius=110)
    y, x = grid(512, 0.7)
    volume.hu[0][(np.hypot(y, np.abs(x) - 120) < 30)] = 600
    protocol = Protocol(kernel="soft", electronic=0.0)
    seen, plain = (noise(v, 0.2, protocol=protocol)[0] for v in (volume, water(512, 0.7, radius=110)))
    between = (np.abs(x) < 60) & (np.abs(y) < 15)
    assert seen[between].var() > 2.5 * plain[between].var()
    for picture, low, high in ((seen, 3, 6), (plain, 0.8, 1.25)):
        along, across = (np.diff(picture, axis=axis, prepend=0)[between].var() for axis in (1, 0))
        assert low < across / along < high
    beside = (np.abs(x) < 40) & (np.abs(y) > 70) & (np.abs(y) < 100)
    assert seen[between].var() > 2 * seen[beside].var()


def test_thicker_parts_are_noisier() -> None:
    levels = [noise(water(radius=radius), 0.5)[0][56:72, 56:72].std() for radius in (60, 110, 160)]
    assert levels[0] < levels[1] / 1.5 < levels[2] / 1.5**2


def test_thick_slices_share_noise_with_neighbours() -> None:
    thick = Protocol(slice_thickness_mm=2 * THICK, electronic=0.0)
    seen = noise(water(64, 2.8, 10, radius=70), 0.5, protocol=thick).reshape(10, -1)
    correlation = np.corrcoef(seen)
    assert np.diag(correlation, 1).mean() == pytest.approx(0.5, abs=0.03)
    assert abs(np.diag(correlation, 2).mean()) < 0.03
    apart = np.corrcoef(noise(water(64, 2.8, 10, radius=70), 0.5).reshape(10, -1))
    assert abs(np.diag(apart, 1).mean()) < 0.03


def test_noise_is_of_the_seed_and_the_slice_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    volume = water(96, 3.5, 4)
    monkeypatch.setenv("SYNTH_THREADS", "1")
    one = low_dose(volume, 0.3, seed=2**63 + 7)
    monkeypatch.setenv("SYNTH_THREADS", "3")
    three = low_dose(volume, 0.3, seed=2**63 + 7)
    assert one.hu.tobytes() == three.hu.tobytes()
    first = Volume(volume.hu[:2].copy(), volume.affine)
    assert low_dose(first, 0.3, seed=2**63 + 7).hu.tobytes() == one.hu[:2].tobytes()
    assert not np.array_equal(one.hu[0], one.hu[1])
    assert not np.array_equal(low_dose(volume, 0.3, seed=8).hu, one.hu)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_full_dose_is_the_ct_itself(dtype: type) -> None:
    volume = Volume(water(32, 8.0, 2).hu.astype(dtype), np.diag([8, 8, THICK, 1.0]))
    calls: list[None] = []
    same = low_dose(volume, 1, seed=1, advance=lambda: calls.append(None))
    assert same.hu.tobytes() == volume.hu.tobytes()
    assert same.hu is not volume.hu
    assert len(calls) == slice_count(volume) == 2


def test_whole_hu_stay_whole_and_in_range() -> None:
    volume = water(64, 6.0)
    whole = Volume(volume.hu.astype(np.int16), volume.affine)
    whole.hu[0, 30:34, 30:34] = 32767
    noisy = low_dose(whole, 0.01, seed=3)
    assert noisy.hu.dtype == np.int16
    assert noisy.hu.min() >= -1024
    fine = low_dose(Volume(whole.hu.astype(np.float32), volume.affine), 0.01, seed=3).hu
    assert np.abs(fine - noisy.hu).max() <= 0.5 + 1e-3
    assert noisy.name == whole.name
    np.testing.assert_array_equal(noisy.affine, whole.affine)


def test_corners_outside_the_scan_stay_as_they_are() -> None:
    volume = water(64, 6.0)
    y, x = grid(64, 6.0)
    corners = np.hypot(y, x) > 32 * 6.0
    assert (low_dose(volume, 0.1, seed=1).hu[0][corners] == -1000).all()
    scanned = np.hypot(y, x) < 0.95 * 32 * 6.0
    assert (low_dose(volume, 0.1, seed=1).hu[0][scanned] != volume.hu[0][scanned]).mean() > 0.99
    volume.hu[0][corners & (x > 0)] = -990  # no padding: something was scanned
    assert np.ptp(low_dose(volume, 0.1, seed=1).hu[0][corners & (x < 0)]) > 5


def test_the_smallest_slices_have_no_corners() -> None:
    tiny = Volume(np.zeros((2, 2, 2), np.float32), np.diag([300.0, 300, 2, 1]))
    assert (low_dose(tiny, 0.01, seed=1).hu != 0).all()


def test_slices_are_those_of_the_patient() -> None:
    axial = water(48, 6.0, 6)
    sagittal = Volume(
        np.ascontiguousarray(axial.hu.transpose(2, 1, 0)), np.ascontiguousarray(axial.affine[:, [2, 1, 0, 3]]), "turned"
    )
    turned = low_dose(sagittal, 0.3, seed=4).hu
    assert slice_count(sagittal) == 6
    expected = np.stack(list(noise_slices(axial, 0.3, seed=4)))
    swapped = np.stack(list(noise_slices(sagittal, 0.3, seed=4)))  # (z, x, y): the noise is of the stored rows
    assert expected.shape == swapped.shape
    assert swapped.std() == pytest.approx(expected.std(), rel=0.03)
    assert turned.shape == (48, 48, 6)
    assert np.abs(turned - sagittal.hu).max() > 0


def test_bad_arguments_are_refused() -> None:
    volume = water(16, 8.0)
    for dose in (0, -1, 1.5, float("nan")):
        with pytest.raises(InputError, match=r"dose fraction must be 0\.001 to 1"):
            low_dose(volume, dose, seed=0)
    for change, said in (
        ({"kernel": "bone"}, "kernel must be soft, standard, sharp, got 'bone'"),
        ({"kvp": 200}, "kvp must be 40 to 150"),
        ({"mas": 0}, "mas must be"),
        ({"slice_thickness_mm": 0}, "slice thickness must be"),
        ({"electronic": -1}, "electronic noise must be"),
    ):
        with pytest.raises(InputError, match=said):
            Protocol(**change)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="slices of 1×16 pixels are too small"):
        low_dose(Volume(np.zeros((3, 1, 16), np.int16), np.eye(4), "line"), 0.5, seed=0)


def test_a_real_slice(shared_data: Path) -> None:
    volume = read_volume(shared_data / "ct" / "lidc_idri_0001.nii.gz")
    one = Volume(np.ascontiguousarray(volume.hu[66:67]), volume.affine)
    noisy = low_dose(one, 0.25, seed=5)
    added = (noisy.hu[0].astype(float) - one.hu[0])[128:384, 128:384]
    body = one.hu[0, 128:384, 128:384] > -500
    assert abs(added[body].mean()) < 0.5
    assert 5 < added[body].std() < 60
