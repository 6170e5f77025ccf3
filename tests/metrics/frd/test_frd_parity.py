"""FRD equals frd-score 1.0.1's, and what its features give in exact arithmetic."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from synth.metrics.frd.distance import frd
from synth.metrics.frd.features import FrdTable
from synth.metrics.frd.normalise import normalise
from tests.metrics.radiomics import fixtures

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENTS = ("frd_master", "frd_301", "frd_py39_310wheel", "frd_3d")
CASES = ("A_vs_B", "B_vs_A", "A1_vs_A2")
V1_ABSOLUTE = 2e-6
V0_RELATIVE = 6.1e-7
"""How far frd-score's own square root of a singular matrix is off; the exact values are met far closer."""
ONLY: dict[str, Any] = {"permutations": 0, "repeats": 0, "intervals": False}


def pair(environment: str, version: str, masked: str, case: str) -> tuple[FrdTable, FrdTable]:
    names, _, a = fixtures.features(environment, version, masked, "A")
    _, _, b = fixtures.features(environment, version, masked, "B")
    half = len(a) // 2
    x, y = {"A_vs_B": (a, b), "B_vs_A": (b, a), "A1_vs_A2": (a[:half], a[half:])}[case]
    return FrdTable.of("reference", names, x), FrdTable.of("generated", names, y)


def stored(environment: str, version: str, masked: str, case: str) -> dict[str, Any]:
    path = next(fixtures.folder(environment).glob("values_*.json"))
    found: dict[str, Any] = json.loads(path.read_text())["values"][f"{version}_{masked}_{case}"]
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("masked", ["mask", "nomask"])
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_compat_is_frd_score(environment: str, masked: str, case: str) -> None:
    for version in ("v0", "v1"):
        try:
            tables = pair(environment, version, masked, case)
        except pytest.skip.Exception:  # v0 without masks is refused by pyradiomics 3.0.1
            assert (environment, version, masked) == ("frd_301", "v0", "nomask")
            continue
        wanted = stored(environment, version, masked, case)
        found = frd(*tables, version=version, mode="compat", **ONLY)  # type: ignore[arg-type]
        assert len(found.normalised.names) == wanted["d_used"]
        if version == "v1":
            assert found.value == pytest.approx(wanted["frd"], abs=V1_ABSOLUTE)
            assert found.log_distance == pytest.approx(wanted["frd"] / 2, abs=V1_ABSOLUTE)
        else:
            assert found.value == pytest.approx(wanted["frd"], rel=V0_RELATIVE)
        # The tables are rounded to 17 digits, which float32's rounding doubles now and then.
        assert found.distance == pytest.approx(wanted["fd_exact"], rel=1e-9 if version == "v0" else 1e-6)


@pytest.mark.parametrize("environment", ["frd_master", "frd_3d"])
@pytest.mark.parametrize("version", ["v0", "v1"])
@pytest.mark.parametrize("masked", ["mask", "nomask"])
def test_compat_features_are_what_frd_score_compares(environment: str, version: Any, masked: str) -> None:
    tables = pair(environment, version, masked, "A_vs_B")
    wanted = np.load(fixtures.folder(environment) / f"normalised_{version}_{masked}_A_vs_B.npz")
    found = normalise(tables[0].values, tables[1].values, tables[0].names, version, "compat")
    assert found.names == tuple(wanted["names"])
    steady = ~np.isin(found.names, found.noise)
    for ours, theirs in ((found.x, wanted["x"]), (found.y, wanted["y"])):
        np.testing.assert_allclose(ours[:, steady], theirs[:, steady], rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("masked", ["mask", "nomask"])
@pytest.mark.parametrize("environment", ["frd_master", "frd_3d"])
def test_clean_is_the_radiomic_features_alone(environment: str, masked: str, case: str) -> None:
    found = frd(*pair(environment, "v1", masked, case), **ONLY)
    path = fixtures.FOLDER / "frd_v1_reference_variants.json"
    wanted = json.loads(path.read_text())[f"{environment}/{masked}/{case}"]["clean64"]
    assert len(found.normalised.names) == wanted["d"]
    assert found.value == pytest.approx(wanted["log_d2"], abs=1e-9)


def test_from_folders_of_pictures() -> None:
    images = fixtures.folder("images128")
    a, b = images / "A_img", images / "B_img"
    masks: dict[str, Any] = {"reference_masks": images / "A_mask", "generated_masks": images / "B_mask"}
    masked = frd(a, b, mode="compat", cache=False, **masks, **ONLY)
    assert (masked.reference, masked.generated) == ("A_img", "B_img")
    assert masked.value == pytest.approx(stored("frd_master", "v1", "mask", "A_vs_B")["frd"], abs=V1_ABSOLUTE)
    v0 = frd(a, b, version="v0", mode="compat", cache=False, **ONLY)
    assert v0.value == pytest.approx(stored("frd_master", "v0", "nomask", "A_vs_B")["frd"], rel=V0_RELATIVE)
    # Three columns of whole pictures are rounding noise, which nobody can reproduce: said, and small here.
    whole = frd(a, b, mode="compat", cache=False, **ONLY)
    assert [note for note in whole.warnings if note.startswith("3 columns hold rounding noise")]
    assert whole.value == pytest.approx(stored("frd_master", "v1", "nomask", "A_vs_B")["frd"], abs=1e-3)
    clean = json.loads((fixtures.FOLDER / "frd_v1_reference_variants.json").read_text())["frd_master/nomask/A_vs_B"]
    assert frd(a, b, cache=False, **ONLY).value == pytest.approx(clean["clean64"]["log_d2"], abs=1e-7)


def test_from_folders_of_volumes() -> None:
    volumes: Path = fixtures.folder("volumes3d")
    found = frd(
        volumes / "A_img",
        volumes / "B_img",
        mode="compat",
        reference_masks=volumes / "A_mask",
        generated_masks=volumes / "B_mask",
        cache=False,
        **ONLY,
    )
    assert found.value == pytest.approx(stored("frd_3d", "v1", "mask", "A_vs_B")["frd"], abs=V1_ABSOLUTE)
