"""CTs as training sees them: which files, on which grid, with which masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from synth.core.errors import InputError
from synth.core.volume import Labels, Volume
from synth.core.writing import write_labels, write_volume
from synth.diffusion.ct.anatomy import anatomy_on_grid
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.training.ct.files import CtSource, open_ct_sources
from synth.diffusion.training.ct.latents import CtLatents
from synth.diffusion.training.ct.patches import corner, pick, random_patches
from synth.diffusion.training.ct.reading import Grid, read_example
from synth.diffusion.training.ct.volumes import CtData, halved
from tests.diffusion.training.ct.sets import LABELS, PARTS, SIZE, SPACING, N, affine_of, body, opened, write_set

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FINE = Grid((2 * SIZE,) * 3, (SPACING / 2,) * 3)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="module")
def data(root: Path, tmp_path_factory: pytest.TempPathFactory) -> CtData:
    return opened(root, tmp_path_factory.mktemp("cache"))


def place(name: str) -> int:
    return MASKS.index(name)


def test_a_dataset_of_ours_is_found_with_its_maps_and_words(root: Path) -> None:
    examples = CtSource(path=str(root)).open()
    assert len(examples) == N
    assert [path.name for path in examples.maps[0]] == ["00000000_parts.nii.gz", "00000000_total.nii.gz"]
    assert examples.maps[1][0].name == "00000001_findings.nii.gz"
    assert examples.conditions[1][0].sex == "M"
    assert examples.conditions[1][0].impression == "Small mass."
    assert len(set(examples.patients)) == N
    both = open_ct_sources([CtSource(path=str(root))] * 2)
    assert len(both) == 2 * N
    assert len(set(both.patients)) == 2 * N


def test_a_plain_folder_and_a_table(tmp_path: Path) -> None:
    hu, labels, _ = body(0)
    for stem in ("a", "b"):
        write_volume(tmp_path / f"{stem}.mha", Volume(hu, affine_of(40)))
    write_labels(tmp_path / "a_seg.nii.gz", Labels(labels, affine_of(40), LABELS))
    write_labels(tmp_path / "masks" / "b.nii.gz", Labels(labels, affine_of(40), LABELS))
    found = CtSource(path=str(tmp_path)).open()
    assert [path.name for path in found.volumes] == ["a.mha", "b.mha"]
    assert [[path.name for path in each] for each in found.maps] == [["a_seg.nii.gz"], ["b.nii.gz"]]
    assert len(set(found.patients)) == 2
    (tmp_path / "t.csv").write_text("volume,masks,sex,age,patient_id\nb.mha,masks/b.nii.gz; a_seg.nii.gz,F,50,p\n")
    told = CtSource(path=str(tmp_path), table="t.csv").open()
    assert [path.name for path in told.maps[0]] == ["b.nii.gz", "a_seg.nii.gz"]
    assert (told.conditions[0][0].sex, told.conditions[0][0].age, told.patients) == ("F", 50.0, ("p",))
    assert told.digest != found.digest


@pytest.mark.parametrize(
    ("table", "said"),
    [("name\nx\n", "no column volume"), ("volume\nc.mha\n", "c.mha"), ("", "no rows")],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, table: str, said: str) -> None:
    (tmp_path / "t.csv").write_text(table)
    with pytest.raises(InputError, match=said):
        CtSource(path=str(tmp_path), table="t.csv").open()
    with pytest.raises(InputError, match="no CT"):
        CtSource(path=str(tmp_path)).open()


def test_a_file_of_the_grids_spacing_is_read_as_it_is(root: Path) -> None:
    examples = CtSource(path=str(root)).open()
    hu, masks, known = read_example(examples.volumes[1], examples.maps[1], FINE)
    stored, labels, parts = body(1)
    stored[24:28, 14:18, 25:29] = 50
    lungs = np.argwhere((labels == 1) | (labels == 2))
    first = np.rint((lungs.min(0) + lungs.max(0)) / 2 - (2 * SIZE - 1) / 2).astype(int)
    shown = tuple(slice(start, start + 2 * SIZE) for start in first)
    np.testing.assert_array_equal(hu, stored[shown])
    for value, name in LABELS.items():
        mask = "bones" if name.startswith("vertebrae") else name
        np.testing.assert_array_equal(masks[place(mask)], labels[shown] == value)
    np.testing.assert_array_equal(masks[place("lung_airways")], parts[shown] == 1)
    np.testing.assert_array_equal(masks[place("lung_vessels")], parts[shown] == 2)
    assert masks[place("finding")].sum() == 4**3
    assert set(np.array(MASKS)[known]) == {
        "lung_upper_lobe_left", "lung_upper_lobe_right", "heart", "bones", "lung_vessels", "lung_airways", "finding"
    }  # fmt: skip


def turned(array: NDArray[np.generic], affine: NDArray[np.float64]) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """The same body, stored with x backwards and z first."""
    moved = affine @ np.array([[-1.0, 0, 0, array.shape[2] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    return np.ascontiguousarray(array[:, :, ::-1].T), moved[:, [2, 1, 0, 3]]


def test_the_files_axes_do_not_matter(tmp_path: Path) -> None:
    hu, labels, parts = body(2)
    affine = affine_of(40)
    read = []
    for name, turn in (("plain", lambda array: (array, affine)), ("turned", lambda array: turned(array, affine))):
        volume = tmp_path / f"{name}.nii.gz"
        maps = [tmp_path / f"{name}_total.nii.gz", tmp_path / f"{name}_parts.nii.gz"]
        write_volume(volume, Volume(*turn(hu)))
        write_labels(maps[0], Labels(*turn(labels), LABELS))
        write_labels(maps[1], Labels(*turn(parts), PARTS))
        read.append(read_example(volume, maps, FINE))
    for one, other in zip(*read, strict=True):
        np.testing.assert_array_equal(one, other)


def test_coarse_grids_keep_the_body_where_it_is_and_thin_masks_longer(root: Path) -> None:
    examples = CtSource(path=str(root)).open()
    coarse = Grid((SIZE,) * 3, (SPACING,) * 3)
    hu, masks, _ = read_example(examples.volumes[0], examples.maps[0], coarse)
    fine_hu, fine_masks, _ = read_example(examples.volumes[0], examples.maps[0], FINE)
    for name in ("lung_upper_lobe_left", "bones"):
        middles = [
            (np.argwhere(mask[place(name)]).mean(0) - (side - 1) / 2) * edge
            for mask, side, edge in ((masks, SIZE, SPACING), (fine_masks, 2 * SIZE, SPACING / 2))
        ]
        np.testing.assert_allclose(*middles, atol=0.6 * SPACING)
    assert abs(float(hu.mean()) - float(fine_hu.mean())) < 30
    less, _ = halved(fine_hu, fine_masks)
    assert less.shape == (SIZE,) * 3
    assert float(less.mean()) == pytest.approx(float(fine_hu.mean()), abs=1)
    line = np.zeros((len(MASKS), 4, 4, 4), np.bool_)
    line[:, :, 1, 1] = True
    _, kept = halved(np.zeros((4, 4, 4), np.int16), line)
    assert [name for name, mask in zip(MASKS, kept, strict=True) if mask.any()] == ["lung_vessels", "lung_airways"]


def test_vessels_of_the_mediastinum_are_not_the_lungs(tmp_path: Path) -> None:
    hu, labels, parts = body(0)
    parts[20:22, 18:20, 15:24] = 2  # from one lung to the other
    parts[34:38, 18:20, 18:20] = 2  # above them
    write_volume(tmp_path / "x.nii.gz", Volume(hu, affine_of(40)))
    for name, array, names in (("total", labels, LABELS), ("parts", parts, PARTS)):
        write_labels(tmp_path / f"x_{name}.nii.gz", Labels(array, affine_of(40), names))
    grid = Grid((40,) * 3, (SPACING / 2,) * 3)
    maps = sorted(tmp_path.glob("x_*.nii.gz"))
    _, masks, _ = read_example(tmp_path / "x.nii.gz", maps, grid)
    vessels = masks[place("lung_vessels")]
    lobes = masks[:5].any(0)
    assert vessels.any()
    assert vessels.sum() < (parts == 2).sum()
    top = np.flatnonzero(lobes.any((1, 2))).max()
    assert not vessels[top + 1 :].any()


def test_levels_crops_and_the_split(data: CtData) -> None:
    assert [level.grid.size[0] for level in data.levels] == [SIZE, 2 * SIZE]
    assert set(data.train) | set(data.validation) == set(range(N))
    fine = data.levels[1]
    whole = fine.volumes(np.array([1]))
    assert whole.shape == (1, 1 + len(MASKS), *fine.grid.size)
    assert torch.equal(fine.crop(1, (3, 5, 7), 16), whole[:, :, 3:19, 5:21, 7:23])
    assert fine.geometry.tolist() == [[4.0, 4.0, 4.0, 128.0, 128.0, 128.0]]
    draws = torch.tensor([[0.0, 0.9, 0.9, 0.9], [0.99, 0.0, 0.5, 0.999]])
    crops = random_patches(data, np.array([0, 1]), draws, 16)
    assert torch.equal(crops[:1], data.levels[0].volumes(np.array([0])))
    assert torch.equal(crops[1:], whole[:, :, :16, 8:24, 16:])
    assert corner([0.999], [20], 16) == (4,)
    assert pick(1.0, 3) == 2


def test_what_is_read_is_found_again(root: Path, data: CtData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synth.diffusion.training.ct.volumes.read_example", None)
    again = opened(root, data.folder)
    np.testing.assert_array_equal(again.levels[1].hu, data.levels[1].hu)


class _Halving(torch.nn.Module):
    """Stands for an autoencoder: means of eight voxels of the CT."""

    factor, halo = 2, 0

    def __init__(self) -> None:
        super().__init__()
        self.config = type("Config", (dict,), {"latent_channels": 1})()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def latents(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.avg_pool3d(x[:, :1], 2)


def test_latents_are_those_of_their_grids(data: CtData) -> None:
    vae = _Halving()
    fine, coarse = CtLatents.open(vae, data, 1), CtLatents.enlarged(vae, data, 1)  # type: ignore[arg-type]
    assert fine.shape == coarse.shape == (1, SIZE, SIZE, SIZE)
    below = data.levels[0].volumes(np.array([3]))[:, :1]
    torch.testing.assert_close(fine.latents(np.array([3])), below, atol=2e-3, rtol=0)
    inner = np.s_[:, :, 4:-4, 4:-4, 4:-4]
    near = coarse.latents(np.array([3]))[inner] - below[inner]
    assert float(near.abs().mean()) < 0.15
    crop = fine.crops([3], [(1, 2, 3)], 4)
    assert torch.equal(crop, fine.latents(np.array([3]))[:, :, 1:5, 2:6, 3:7])


@pytest.mark.parametrize("mm", [4.0, 2.0])
def test_masks_to_follow_are_those_that_training_has_seen(tmp_path: Path, mm: float) -> None:
    hu, labels, parts = body(0)
    drawn = np.where(parts > 0, parts + 10, labels).astype(np.uint8)
    seen = Labels(drawn, affine_of(40, mm), LABELS | {value + 10: name for value, name in PARTS.items()})
    write_volume(tmp_path / "ct.nii.gz", Volume(hu, seen.affine))
    write_labels(tmp_path / "total.nii.gz", seen)
    fine = Grid((2 * SIZE,) * 3, (4.0,) * 3)
    read, masks, _ = read_example(tmp_path / "ct.nii.gz", [tmp_path / "total.nii.gz"], fine)
    base = halved(read, masks)[1]
    assert base[[place("lung_airways"), place("lung_vessels"), place("heart")]].any((1, 2, 3)).all()
    affine = fine.around((seen.affine @ [19.5, 19.5, 18.5, 1])[:3], seen.affine)  # the middle of the lobes
    np.testing.assert_array_equal(anatomy_on_grid(seen, MASKS, fine.size, affine), masks)
    coarse = affine @ np.diag([2.0, 2, 2, 1])
    coarse[:3, 3] += 2.0
    np.testing.assert_array_equal(anatomy_on_grid(seen, MASKS, (SIZE,) * 3, coarse), base)
