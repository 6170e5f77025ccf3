"""scripts/train_reader.py, for a few steps on radiographs that cost nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.metrics.readers.phantoms import PhantomReader
from tests.scripts.films import write_films

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_films(tmp_path_factory.mktemp("reader") / "films", 96, 1)


def train(films: Path, out: Path, *more: str) -> Path:
    import train_reader

    train_reader.main([str(films), "-o", str(out), "--steps", "30", "--size", "32", "--weights", "", *more])
    return out


def test_it_learns_what_is_plain_and_writes_a_reader(films: Path, tmp_path: Path) -> None:
    out = train(films, tmp_path / "a")
    reader = PhantomReader(out)
    facts = json.loads((out / "reader.json").read_text())
    assert {*facts["attributes"], *facts["left_out"]} >= {"sex", "finding:Pleural Effusion", "side:Pleural Effusion"}
    assert facts["left_out"]["side:Pleural Effusion"] is None  # all are on the left
    assert reader.attributes["finding:Pleural Effusion"] == ("no", "yes")
    assert "--steps 30 --size 32 --seed 0" in (out / "README.md").read_text()
    assert str(films) not in (out / "README.md").read_text()
    again = train(films, tmp_path / "b")
    assert (again / "network.safetensors").read_bytes() == (out / "network.safetensors").read_bytes()
    assert (again / "reader.json").read_text() == (out / "reader.json").read_text()


def test_bodies_are_never_on_both_sides(films: Path) -> None:
    from reader_training.films import Films

    read = Films.read([films], 32)
    taught, kept = read.split(0, 0.25)
    assert not {*read.bodies[taught]} & {*read.bodies[kept]}
    assert sorted([*taught, *kept]) == list(range(96))
    assert len(set(read.bodies)) == 48
    effusion = read.signs.index(("Pleural Effusion", "left"))
    assert read.targets[:, effusion].sum() == 48
    assert not read.targets[:, read.signs.index(("Pleural Effusion", "right"))].any()


def test_calibration_undoes_bias_and_scale() -> None:
    from reader_training.calibration import _calibrated

    rng = np.random.default_rng(0)
    stated = (rng.random(20_000) < 0.1).astype(np.int64)  # rare, yet weighing as much as the others
    odds = rng.normal(2 * stated - 1, np.sqrt(2))  # log-odds of equally likely classes: mean ± half the variance
    scale, offsets = _calibrated(np.stack([np.zeros_like(odds), 2 * odds + 3], 1), stated)
    assert scale == pytest.approx(0.5, abs=0.03)
    assert offsets[1] - offsets[0] == pytest.approx(-1.5, abs=0.1)


def test_bad_options(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import train_reader

    for arguments in ([str(films), "--size", "50"], [str(tmp_path)]):
        with pytest.raises(SystemExit) as stop:
            train_reader.main([*arguments, "-o", str(tmp_path / "out"), "--weights", ""])
        assert stop.value.code == 2
        assert capsys.readouterr().err.startswith("train_reader: ")
