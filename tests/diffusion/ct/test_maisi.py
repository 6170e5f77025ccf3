"""Sampling from MAISI's models: against the published loop written out, and what conditions, seeds and grids do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from monai.networks.schedulers import DDPMScheduler, RFlowScheduler

from synth.core.errors import InputError
from synth.diffusion.ct.maisi.grid import Limits, from_maisi, to_maisi
from synth.diffusion.ct.maisi.loading import load_maisi
from synth.diffusion.ct.maisi.pipeline import MaisiPipeline, hu_of, network_input
from synth.diffusion.ct.maisi.sampling import decoded
from synth.diffusion.flow import Guidance, noise_of, noise_seed
from synth.diffusion.text.conditions import Conditions, parse_prompt
from tests.diffusion.ct.maisi_models import LIMITS, SCALE, networks, write_folder

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZE = (16, 16, 16)
FEW = {"size": SIZE, "steps": 2}


@pytest.fixture(scope="module")
def pipes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MaisiPipeline]:
    root = tmp_path_factory.mktemp("maisi")
    return {
        kind: load_maisi(write_folder(root / kind, kind), device="cpu", dtype="float32", limits=LIMITS)
        for kind in ("rflow", "ddpm")
    }


@pytest.fixture
def rflow(pipes: dict[str, MaisiPipeline]) -> MaisiPipeline:
    return pipes["rflow"]


@pytest.fixture
def ddpm(pipes: dict[str, MaisiPipeline]) -> MaisiPipeline:
    return pipes["ddpm"]


def labels() -> NDArray[np.uint8]:
    """(1, z, y, x): a body with a lung on the patient's left, in front and below, and a tumour in it."""
    found = np.zeros((1, *SIZE), np.uint8)
    found[:, 1:15, 2:14, 1:15] = 200
    found[:, 2:7, 3:8, 9:14] = 29
    found[:, 3:5, 4:6, 10:12] = 23
    return found


def published(kind: str, seed: int, maps: NDArray[np.uint8] | None, steps: int) -> NDArray[np.float64]:
    """The HU (z, y, x) by MAISI's loop, with MONAI's networks as they are: plain attention, whole latents decoded."""
    parts, flows = networks(kind), kind == "rflow"
    kept: dict[str, Any] = {"spacing_tensor": torch.tensor([[150.0, 150.0, 200.0]])}
    if flows:
        scheduler: Any = RFlowScheduler(
            num_train_timesteps=1000, use_discrete_timesteps=False, use_timestep_transform=True, scale=1.4
        )
        scheduler.set_timesteps(steps, input_img_size_numel=4**3)
        kept["class_labels"] = torch.tensor([1])
    else:
        scheduler = DDPMScheduler(4, "scaled_linear_beta", beta_start=0.0015, beta_end=0.0195, clip_sample=False)
        scheduler.set_timesteps(steps)
        kept["top_region_index_tensor"] = torch.tensor([[0.0, 100.0, 0.0, 0.0]])
        kept["bottom_region_index_tensor"] = torch.tensor(
            [[0.0, 100.0 * (maps is not None), 100.0 * (maps is None), 0.0]]
        )
    planes = None
    if maps is not None:
        there = torch.from_numpy(maps.copy()).permute(0, 3, 2, 1).flip(1, 2).long()
        planes = torch.stack([there // 2**bit % 2 for bit in range(8)], 1).float()
    image = noise_of([seed], (4, 4, 4, 4))
    generator = torch.Generator().manual_seed(noise_seed(seed, 0, "steps"))
    times = scheduler.timesteps
    with torch.no_grad():
        for time, following in zip(times, [*times[1:], torch.tensor(0)], strict=True):
            more: dict[str, Any] = {}
            if planes is not None:
                down, middle = parts["controlnet"](
                    image, time[None].float(), planes, class_labels=kept.get("class_labels")
                )
                more = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
            made = parts["diffusion_unet"](image, time[None].float(), **kept, **more)
            step = (made, time, image, following) if flows else (made, int(time), image, generator)
            image = scheduler.step(*step)[0]
        voxels = parts["autoencoder"].decode_stage_2_outputs(image / SCALE)[0, 0]
    hu = voxels.clamp(0, 1).permute(2, 1, 0).flip(1, 2).double().numpy() * 2000 - 1000
    return hu if maps is None else np.where(maps[0] == 0, -1000, hu)


@pytest.mark.parametrize("kind", ["rflow", "ddpm"])
@pytest.mark.parametrize("control", [False, True])
def test_samples_are_those_of_the_published_loop(pipes: dict[str, MaisiPipeline], kind: str, control: bool) -> None:
    steps = 3 if kind == "rflow" else 4
    maps = labels() if control else None
    made = pipes[kind](seeds=[5], size=SIZE, spacing=(2, 1.5, 1.5), steps=steps, masks=maps)
    expected = published(kind, 5, maps, steps)
    assert made.hu.dtype == np.int16
    assert expected.std() > 100  # neither all air nor all bone
    np.testing.assert_allclose(made.hu[0], expected, atol=2)


def test_same_seed_gives_the_same_volume_in_any_batch(rflow: MaisiPipeline, ddpm: MaisiPipeline) -> None:
    for pipe, steps in ((rflow, 2), (ddpm, 4)):
        several = pipe(["", "chest", ""], seeds=[1, 2, 3], size=SIZE, steps=steps)
        alone = pipe("", seeds=[3], size=SIZE, steps=steps)
        np.testing.assert_array_equal(several.hu[2], alone.hu[0])
        assert not np.array_equal(several.hu[0], several.hu[2])


def test_every_condition_counts(rflow: MaisiPipeline, ddpm: MaisiPipeline) -> None:
    maps = labels()
    other = np.where(maps == 23, np.uint8(29), maps)
    plain, ruled = rflow(**FEW), rflow(**FEW, masks=maps)
    regions = ddpm("chest", size=SIZE)
    for one, two in (
        (plain, rflow(**FEW, spacing=2.0)),
        (plain, rflow(**FEW, modality="ct_contrast")),
        (plain, ruled),
        (ruled, rflow(**FEW, masks=other)),
        (regions, ddpm("abdomen", size=SIZE)),
        (regions, ddpm("chest to abdomen", size=SIZE)),
    ):
        assert np.abs(one.hu.astype(int) - two.hu).max() > 3
    np.testing.assert_array_equal(ddpm("chest, abdomen", size=SIZE).hu, ddpm(size=SIZE).hu)  # the published default
    np.testing.assert_array_equal(rflow("head", **FEW).hu, plain.hu)  # rectified flow asks for no regions


def test_region_is_that_of_the_label_map(ddpm: MaisiPipeline) -> None:
    maps = labels()
    named = ddpm("chest", size=SIZE, masks=maps)
    np.testing.assert_array_equal(ddpm(masks=maps).hu, named.hu)
    assert not np.array_equal(ddpm("abdomen", masks=maps).hu, named.hu)
    with pytest.raises(InputError, match="no organ in them"):
        ddpm(masks=np.where(maps > 0, np.uint8(200), maps))


def test_ct_masks_and_labels_lie_in_one_grid(rflow: MaisiPipeline) -> None:
    maps = labels()
    made = rflow(seeds=[4], steps=2, masks=maps, spacing=(3.0, 2.0, 2.0))
    assert made.hu.shape == maps.shape
    assert (made.hu[maps == 0] == -1000).all()
    assert (made.hu[maps > 0] > -1000).mean() > 0.5
    masks = dict(zip(made.names, made.masks[0], strict=True))
    np.testing.assert_array_equal(masks["lung_lower_lobe_left"], maps[0] == 29)
    np.testing.assert_array_equal(masks["finding"], maps[0] == 23)
    assert not masks["bones"].any()
    assert "lung_vessels" not in made.names  # no class of theirs: not even an empty mask
    found = made.label_map(0)
    np.testing.assert_array_equal(found.array, maps[0])
    assert found.names[29] == "lung_lower_lobe_left"
    assert made.label_names[29] == "left lung lower lobe"
    where = made.affine @ [*np.argwhere(maps[0] == 29).mean(0)[::-1], 1]
    assert where[0] > 0  # LPS: the left of the patient
    assert where[1] < 0  # in front
    assert where[2] < 0  # below
    np.testing.assert_allclose(np.diag(made.affine), [2, 2, 3, 1])


def test_without_control_there_are_no_masks(rflow: MaisiPipeline) -> None:
    made = rflow(**FEW)
    assert made.masks.shape == (1, 0, *SIZE)
    assert made.names == ()
    assert made.labels is None
    with pytest.raises(InputError, match="without label maps"):
        made.label_map(0)


def test_axes() -> None:
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)  # (z, y, x)
    theirs = to_maisi(array)
    assert theirs.shape == (4, 3, 2)
    for z, y, x in np.ndindex(array.shape):
        assert theirs[3 - x, 2 - y, z] == array[z, y, x]
    np.testing.assert_array_equal(from_maisi(theirs), array)


def test_hu_of_the_networks_range() -> None:
    np.testing.assert_array_equal(hu_of(np.float32([-0.2, 0, 0.5, 0.75, 1, 3])), [-1000, -1000, 0, 500, 1000, 1000])
    np.testing.assert_allclose(network_input(np.int16([-1024, -1000, 0, 1000, 3000])), [0, 0, 0.5, 1, 1])


def test_guidance(rflow: MaisiPipeline, ddpm: MaisiPipeline) -> None:
    maps, none = labels(), np.where(labels() == 23, np.uint8(29), labels())
    plain = rflow(**FEW, masks=maps)
    np.testing.assert_array_equal(rflow(**FEW, masks=maps, guidance=1).hu, plain.hu)
    assert not np.array_equal(rflow(**FEW, masks=maps, guidance=3.0).hu, plain.hu)
    never = rflow(**FEW, masks=maps, guidance=Guidance(3.0, 0.0, 0.0))
    np.testing.assert_array_equal(never.hu, plain.hu)
    # DDPM knows no modalities: guidance leads away from the same map without its tumour alone.
    away = ddpm(masks=none, guidance=3.0)
    np.testing.assert_allclose(away.hu, ddpm(masks=none).hu, atol=1)
    assert not np.array_equal(ddpm(masks=maps, guidance=3.0).hu, ddpm(masks=maps).hu)
    with pytest.raises(InputError, match="no modalities"):
        ddpm(size=SIZE, guidance=3.0)


def test_guidance_zero_is_the_unconditional_model(rflow: MaisiPipeline) -> None:
    np.testing.assert_array_equal(rflow(**FEW, guidance=0.0).hu, rflow(**FEW, modality="unknown").hu)


def test_progress_counts_all_steps(rflow: MaisiPipeline) -> None:
    told: list[tuple[int, int]] = []
    rflow(["", ""], **FEW, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_windows_cover_latents_of_any_size(rflow: MaisiPipeline) -> None:
    latents = noise_of([1], (4, 10, 6, 4))
    whole = decoded(rflow.autoencoder, latents, (48, 48, 48), 0.5, torch.float32)
    slid = decoded(rflow.autoencoder, latents, (6, 6, 6), 0.5, torch.float32)
    assert slid.shape == whole.shape == (1, 1, 40, 24, 16)
    assert torch.isfinite(slid).all()
    # One window of all along y and z, and two along x, of which the first alone made the outermost voxels.
    first = decoded(rflow.autoencoder, latents[:, :, :6], (48, 48, 48), 0.5, torch.float32)
    torch.testing.assert_close(slid[:, :, :8], first[:, :, :8], atol=1e-4, rtol=1e-4)


def test_half_precision_is_close(rflow: MaisiPipeline) -> None:
    half = MaisiPipeline(**{**vars(rflow), "dtype": torch.bfloat16})
    difference = np.abs(half(**FEW).hu.astype(int) - rflow(**FEW).hu)
    assert 0 < difference.mean() < 60


def test_arguments_that_do_not_fit(rflow: MaisiPipeline, ddpm: MaisiPipeline) -> None:
    maps = labels()
    free = MaisiPipeline(**{**vars(rflow), "controlnet": None})
    for call, message in (
        (lambda: rflow("Small left pleural effusion."), "read no text"),
        (lambda: rflow("65 year old female."), "read no text"),
        (lambda: rflow([Conditions(sex="F")]), "read no text"),
        (lambda: rflow(["", ""], seeds=[1]), "1 seeds for 2 prompts"),
        (lambda: rflow(size=(16, 16, 24)), "size 16 × 24 in the plane"),
        (lambda: rflow(size=(16, 16, 17)), "multiples of 8"),
        (lambda: rflow(size=(64, 16, 16)), "size 64 along z"),
        (lambda: rflow(**FEW, spacing=9.0), "spacing 9 mm in the plane"),
        (lambda: rflow(**FEW, spacing=(1.0, 1.0, 2.0)), "one for both ways"),
        (lambda: rflow(**FEW, spacing=(1.0, 2.0)), "give one number"),
        (lambda: rflow(**FEW, spacing=float("nan")), "give one number"),
        (lambda: rflow(**FEW, spacing=0.6), "field of view 9.6 mm"),
        (lambda: rflow(**FEW, modality="mri"), "modality 'mri'"),
        (lambda: rflow(**FEW, modality=9), "modality 9"),
        (lambda: rflow(**FEW, refine_steps=4), "no refiner"),
        (lambda: rflow(size=SIZE, steps=0), "takes 1 to 1000"),
        (lambda: ddpm(size=SIZE, steps=2), "DDPMScheduler takes 4"),
        (lambda: rflow(masks=maps.astype(np.int32)), "expected uint8 labels"),
        (lambda: rflow(["", ""], masks=maps), "n = 2"),
        (lambda: rflow(masks=maps, size=(32, 32, 32)), "resample them first"),
        (lambda: free(masks=maps), "has no ControlNet"),
        (lambda: rflow(**FEW, guidance=-1.0), "guidance -1"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_published_limits() -> None:
    limits = Limits()
    assert limits.check((256, 512, 512), (1.5, 1.0, 1.0)) == ()
    assert "384 mm are advised" in limits.check((128, 256, 256), (2.0, 1.2, 1.2))[0]
    assert limits.check((128, 256, 256), (2.0, 1.2, 1.2), head=True) == ()
    for size, spacing, message in (
        ((256, 300, 300), (1.5, 1.5, 1.5), "256, 384 or 512"),
        ((100, 256, 256), (1.5, 1.5, 1.5), "size 100 along z"),
        ((128, 256, 256), (6.0, 1.5, 1.5), "spacing 6 mm along z"),
        ((128, 256, 256), (1.5, 0.9, 0.9), "spacing of 1 mm or more"),
    ):
        with pytest.raises(InputError, match=message):
            limits.check(size, spacing)


def test_advice_is_told_once(rflow: MaisiPipeline) -> None:
    made = rflow(["", ""], **FEW, spacing=1.25)
    assert len(made.warnings) == 1
    assert "field of view 20 mm" in made.warnings[0]


def test_prompts_may_be_parsed_ones(rflow: MaisiPipeline, ddpm: MaisiPipeline) -> None:
    np.testing.assert_array_equal(ddpm([parse_prompt("abdomen")], size=SIZE).hu, ddpm("abdomen", size=SIZE).hu)
    assert rflow([], **FEW).hu.shape == (0, *SIZE)


def test_modalities_and_classes_of_the_folder(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "own")
    (folder / "configs" / "modality_mapping.json").write_text(
        json.dumps({"unknown": 0, "ct": 1, "ct_photon": 5, "mri": 8})
    )
    (folder / "configs" / "label_dict.json").write_text(json.dumps({"heart": 7, "dummy1": 9, "body": 200}))
    pipe = load_maisi(folder, device="cpu", dtype="float32", limits=LIMITS)
    assert not np.array_equal(pipe(**FEW, modality="ct_photon").hu, pipe(**FEW).hu)
    made = pipe(**FEW, masks=np.full((1, *SIZE), 7, np.uint8))
    assert made.names == ("heart",)
    assert made.masks.all()
    with pytest.raises(InputError, match=r"one of ct, ct_photon$"):
        pipe(**FEW, modality="pet")
    (folder / "configs" / "label_dict.json").write_text(json.dumps({"heart": 300}))
    with pytest.raises(InputError, match="0 to 255"):
        load_maisi(folder, device="cpu", dtype="float32")
