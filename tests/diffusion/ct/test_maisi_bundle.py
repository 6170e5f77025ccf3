"""Pipelines as MONAI bundles: what MONAI makes of them."""

from __future__ import annotations

import hashlib
import json
import logging
import warnings
from typing import TYPE_CHECKING, Any

import monai.bundle
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow

from synth.core.errors import InputError
from synth.core.reading import read_labels, read_volume
from synth.diffusion.ct.maisi.bundle import export_bundle
from synth.diffusion.ct.maisi.loading import load_maisi
from synth.diffusion.ct.maisi.running import write_samples
from synth.diffusion.ct.pipeline import CtPipeline
from tests.diffusion.ct.maisi_models import LIMITS, write_folder
from tests.diffusion.ct.models import pipeline as ct_pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from synth.diffusion.ct.maisi.pipeline import MaisiPipeline

SIZE = (16, 16, 16)
TENSOR = {"type": "string", "format": "string", "modality": "string", "num_channels": "integer",
          "spatial_shape": "array", "dtype": "string", "value_range": "array", "is_patch_data": "boolean",
          "channel_def": "object"}  # fmt: skip
"""Keys that the MONAI Bundle Specification asks of a tensor, with JSON's types."""
KEYS = {"version": "string", "monai_version": "string", "pytorch_version": "string", "numpy_version": "string",
        "required_packages_version": "object", "task": "string", "description": "string", "authors": "string",
        "copyright": "string", "network_data_format": "object"}  # fmt: skip


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """MONAI tells what it does by way of logging, and changes how that looks."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> MaisiPipeline:
    folder = write_folder(tmp_path_factory.mktemp("maisi") / "m")
    (folder / "LICENSE.weights").write_text("Terms of the weights.\n")
    return load_maisi(folder, device="cpu", dtype="float32", limits=LIMITS)


@pytest.fixture(scope="module")
def bundle(theirs: MaisiPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "maisi_small"
    export_bundle(theirs, folder)
    return folder


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[CtPipeline, Path]:
    folder = tmp_path_factory.mktemp("bundles") / "ct_small"
    pipe = ct_pipeline()
    export_bundle(pipe, folder)
    return pipe, folder


def files(folder: Path) -> dict[str, str]:
    return {
        "config_file": str(folder / "configs" / "inference.json"),
        "meta_file": str(folder / "configs" / "metadata.json"),
    }


def schema() -> dict[str, Any]:
    """The specification's mandatory keys as a JSON schema, as the published one cannot be fetched in a test."""
    tensor = {
        "type": "object",
        "required": list(TENSOR),
        "properties": {key: {"type": of} for key, of in TENSOR.items()},
    }
    ends = {
        name: {"type": "object", "minProperties": 1, "additionalProperties": tensor} for name in ("inputs", "outputs")
    }
    properties: dict[str, Any] = {key: {"type": of} for key, of in KEYS.items()}
    properties["network_data_format"] |= {"required": list(ends), "properties": ends}
    return {"type": "object", "required": list(KEYS), "properties": properties}


@pytest.mark.parametrize("kind", ["bundle", "ours"])
def test_metadata_is_verified_by_monai(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(kind)
    folder = found if kind == "bundle" else found[1]
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema()))  # where it lies, MONAI does not download it
    known: dict[str, Any] = {
        "filepath": path,
        "hash_type": "sha256",
        "hash_val": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    monai.bundle.verify_metadata(meta_file=files(folder)["meta_file"], **known)
    broken = json.loads((folder / "configs" / "metadata.json").read_text())
    del broken["network_data_format"]["inputs"]["image"]["format"]
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    with pytest.raises(ValueError, match="Failed validating"):
        monai.bundle.verify_metadata(meta_file=str(tmp_path / "broken.json"), **known)


def test_denoisers_take_what_the_metadata_says(bundle: Path, ours: tuple[CtPipeline, Path]) -> None:
    one = torch.ones(1)
    given: dict[str, Any] = {"timesteps": one, "spacing_tensor": torch.ones(1, 3), "class_labels": one.long()}
    monai.bundle.verify_net_in_out("network_def", **files(bundle), device="cpu", n=2, extra_forward_args=given)
    pipe, folder = ours
    given = {
        "times": one,
        "text": torch.zeros(1, 2, pipe.transformer.config.text_width),
        "attributes": torch.full((1, 4), -1.0),
        "geometry": torch.ones(1, 6),
    }
    monai.bundle.verify_net_in_out("network_def", **files(folder), device="cpu", n=2, extra_forward_args=given)


def test_monai_loads_the_denoiser(bundle: Path, theirs: MaisiPipeline, ours: tuple[CtPipeline, Path]) -> None:
    for folder, network in ((bundle, theirs.denoiser), (ours[1], ours[0].transformer)):
        parser = ConfigParser()
        parser.read_config(files(folder)["config_file"])
        parser.read_meta(files(folder)["meta_file"])
        made = parser.get_parsed_content("network_def")
        made.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
        assert all(torch.equal(value, network.state_dict()[name]) for name, value in made.state_dict().items())
        assert parser.get("_meta_#name") == folder.name


def test_workflow_has_all_properties_and_runs(bundle: Path, theirs: MaisiPipeline, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        flow = ConfigWorkflow(
            **files(bundle), logging_file=False, workflow_type="infer", bundle_root=str(bundle),
            output_dir=str(tmp_path), prompts=["chest"], seeds=[7],
        )  # fmt: skip
        flow.initialize()
        assert not flow.check_properties()
        ((path,),) = flow.run()
    volume = read_volume(tmp_path / "ct_7.nii.gz")
    expected = theirs("chest", seeds=[7])
    assert path == str(tmp_path / "ct_7.nii.gz")
    np.testing.assert_allclose(volume.hu, expected.hu[0], atol=80)  # "auto" may compute in bfloat16
    np.testing.assert_allclose(volume.affine, expected.affine, atol=1e-5)


def test_bundle_is_a_folder_of_maisi_again(bundle: Path, theirs: MaisiPipeline, tmp_path: Path) -> None:
    again = load_maisi(bundle, device="cpu", dtype="float32", limits=LIMITS)
    assert again.defaults == theirs.defaults
    assert again.scale_factor == theirs.scale_factor
    labels = np.full((1, *SIZE), 28, np.uint8)
    for options in ({"size": SIZE}, {"masks": labels}):
        np.testing.assert_array_equal(again(seeds=[2], **options).hu, theirs(seeds=[2], **options).hu)
    export_bundle(again, tmp_path / bundle.name)
    for path in (
        file.relative_to(bundle) for file in bundle.rglob("*") if file.suffix in (".json", ".safetensors", ".md")
    ):
        assert (tmp_path / bundle.name / path).read_bytes() == (bundle / path).read_bytes()


def test_bundle_of_ours_draws_the_same(ours: tuple[CtPipeline, Path], tmp_path: Path) -> None:
    pipe, folder = ours
    parser = ConfigParser()
    parser.read_config(files(folder)["config_file"])
    parser["bundle_root"] = str(folder)
    again = parser.get_parsed_content("pipeline")
    assert isinstance(again, CtPipeline)
    again.set_progress_bar_config(disable=True)
    made = pipe(["Mass."], seeds=[3])
    write_samples(again, ["Mass."], [3], str(tmp_path), ".mha")
    np.testing.assert_array_equal(read_volume(tmp_path / "ct_3.mha").hu, made.hu[0])
    labels = read_labels(tmp_path / "ct_3_labels.mha")
    last = made.names[-1]  # lies over all others
    value = next((value for value, name in labels.names.items() if name == last), None)
    np.testing.assert_array_equal(labels.array == value, made.masks[0, -1])


def test_licences_travel(bundle: Path, ours: tuple[CtPipeline, Path], theirs: MaisiPipeline, tmp_path: Path) -> None:
    for name in ("LICENSE", "LICENSE.weights", "docs/license.txt"):
        assert (bundle / name).read_text() == "Terms of the weights.\n"
    assert "Apache-2.0" in (ours[1] / "LICENSE").read_text()
    export_bundle(theirs, tmp_path / "own", licence="Ask us.")
    assert (tmp_path / "own" / "LICENSE").read_text() == "Ask us."
    with pytest.raises(InputError, match="is there already"):
        export_bundle(theirs, tmp_path / "own")


def test_nothing_of_this_machine_is_in_it(bundle: Path) -> None:
    for path in bundle.rglob("*.*"):
        if path.is_file():
            assert str(bundle.parent).encode() not in path.read_bytes()
