"""The gate sees CTs: in folders, and one by one as a dataset is made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.record import Record, ScanSample
from synth.core.volume import Volume
from synth.core.writing import write_labels, write_volume
from synth.dataset.sample_gate import GateSettings
from synth.metrics.gate import gate
from synth.metrics.gate.policy import policy_from
from synth.metrics.gate.volumes import known_of
from tests.metrics.volumes.bodies import AFFINE, files

if TYPE_CHECKING:
    from pathlib import Path

OFF = {"copies": 0, "artefacts": 0, "outlier": 0, "anatomy": 0, "organs": False, "condition": 0, "repeats": False}
RULES = {"volume": {"seams": 0}}


def write(folder: Path, seeds: range, broken: int | None = None) -> Path:
    (folder / "volumes").mkdir(parents=True)
    (folder / "masks").mkdir()
    for seed in seeds:
        volume, labels = files(seed)
        if seed == broken:
            volume = Volume(np.ascontiguousarray(volume.hu[::-1]), AFFINE)  # turned over, its masks not
        write_volume(folder / "volumes" / f"{seed}.nii.gz", volume)
        write_labels(folder / "masks" / f"{seed}_total.nii.gz", labels)
    return folder


def test_a_set_of_cts_is_judged_with_reasons(tmp_path: Path) -> None:
    real, fake = write(tmp_path / "real", range(2)), write(tmp_path / "fake", range(2, 5), broken=3)
    policy = policy_from({"samples": OFF | RULES, "scores": None, "report": []})
    result = gate(
        fake / "volumes", real / "volumes", policy, generated_masks=fake / "masks", reference_masks=real / "masks"
    )
    assert result.checks["volume"] == 3
    assert list(result.rejected_images) == ["3.nii.gz"]
    assert any("airways: median" in one.reason for one in result.verdicts if one.outcome == "fail")


def test_samples_are_judged_as_they_are_made(tmp_path: Path) -> None:
    real = write(tmp_path / "real", range(2))
    settings = GateSettings(real / "volumes", policy_from({"samples": OFF | RULES}))
    judge = settings.fit(tmp_path / "judges", "volume", lambda _: None)
    volume, labels = files(7)
    sound = ScanSample(0, volume, {"total": labels}, Record("CT", "M", 50))
    verdicts = judge.judge(sound)
    assert {one.outcome for one in verdicts} == {"pass"}
    assert "airways connected" in {one.name for one in verdicts}
    turned = ScanSample(0, Volume(np.ascontiguousarray(volume.hu[::-1]), AFFINE), {"total": labels}, Record("CT"))
    assert "fail" in {one.outcome for one in judge.judge(turned)}


def test_policies_name_the_checks_of_volumes() -> None:
    policy = policy_from({"samples": {"volume": {"airways": 0.5, "lobes": False}}})
    assert policy.samples.volume.airways == 0.5
    assert not policy.samples.volume.lobes
    assert policy.as_dict()["samples"]["volume"]["seams"] == 0.001
    with pytest.raises(InputError, match="did you mean 'airways'"):
        policy_from({"samples": {"volume": {"airway": 0.5}}})
    with pytest.raises(InputError, match="airways must be a share"):
        policy_from({"samples": {"volume": {"airways": 2}}})


def test_what_a_table_knows_of_a_patient() -> None:
    assert known_of({}) == {"sex": None, "height_cm": None, "ill": False}
    row = {"gender": "male", "height_cm": "181.5", "findings": "Pleural Effusion|Support Devices"}
    assert known_of(row) == {"sex": "M", "height_cm": 181.5, "ill": True}
    assert not known_of({"findings": "No Finding"})["ill"]
