from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as rle

from synth.core.errors import InputError
from synth.metrics.gate.bounds import Limit
from synth.metrics.gate.files import delete_images
from synth.metrics.gate.gating import REPORTS, gate, judge, write_reports
from synth.metrics.gate.policy import policy_from
from synth.metrics.images.sets import ImageSet
from synth.metrics.score_value import Score
from tests.end_to_end.scene import affine, write_array
from tests.metrics.picture_sets import pictures, write_pictures

N = 60


@pytest.fixture(scope="module")
def real():
    return pictures(11, N)


@pytest.fixture(scope="module")
def alike():
    return pictures(12, N)


QUIET = {"outlier": 0, "artefacts": 0}  # they refuse a share of any images


def asked(**values):
    return policy_from({"report": [], "samples": QUIET, **values})


def outcomes(result):
    return {one.name: one.outcome for one in result.scores}


def test_images_of_the_reference_population_pass(real, alike):
    result = gate(alike, real)
    assert result.accepted
    assert len(result.accepted_images) > 0.9 * N
    assert set(outcomes(result)) == {"accepted share", "precision", "recall", "coverage", "vendi"}
    assert set(result.card) == {"precision", "recall", "coverage", "vendi", "frd", "kid"}
    kept = len(result.accepted_images)
    assert result.answer == f"accepted: arrays [generated] may pass; {kept} of 60 images accepted"
    assert result.checks == dict.fromkeys(("unreadable", "undefined", "repeats", "copies", "artefacts", "outlier"), N)


@pytest.mark.parametrize("how", ["blurred", "flat", "few faces"])
def test_images_of_another_population_do_not(real, alike, how):
    bad = {
        "blurred": pictures(12, N, blur=1.0),
        "flat": pictures(12, N, contrast=0.6),
        "few faces": np.clip(alike[np.arange(N) % 4] + np.arange(N, dtype=np.uint8)[:, None, None] % 3, 0, 255),
    }
    result = gate(bad[how], real, asked())
    assert not result.accepted
    assert "fail" in outcomes(result).values()
    assert result.answer.startswith("rejected: ")


def test_single_images_are_refused_with_reasons(real, alike, tmp_path):
    bad = alike.copy()
    bad[1], bad[2] = bad[0], real[7]
    folder = write_pictures(tmp_path / "fake", bad)
    (folder / "004.png").write_bytes((folder / "004.png").read_bytes()[:200])
    result = gate(folder, real, asked())
    reasons = {name: [one.check for one in verdicts] for name, verdicts in result.rejected_images.items()}
    assert reasons == {
        "001.png": ["repeats"],
        "002.png": ["copies"],
        "004.png": ["unreadable"],
    }
    assert "001.png: repeats 000.png pixel by pixel" in result.table()
    assert "is image 7 of the reference" in result.table()
    assert len(result.accepted_images) == N - 3
    assert result.card.n_generated == N - 3
    assert result.accepted  # 95 % of the images


def test_artefacts_and_outliers_are_refused(alike):
    bad = alike[:30].copy()
    bad[3] = 90
    bad[4] = np.where(np.arange(40) % 2, 250, 5).astype(np.uint8)
    bad[5] = np.random.default_rng(0).integers(0, 256, (40, 40))
    rules = {"artefacts": 0.05, "outlier": 0.05, "copies": 0}
    result = gate(bad, pictures(13, 130), asked(scores=None, samples=rules))
    refused = {name: {one.check for one in verdicts} for name, verdicts in result.rejected_images.items()}
    assert "artefacts" in refused["image 3"]
    assert refused["image 4"] & {"artefacts", "outlier"}
    assert "outlier" in refused["image 5"]
    assert "blank: contrast" in result.table()
    assert len(refused) <= 3 + 5
    assert "copies" not in result.checks


def test_organs_of_another_place_or_none_are_refused(real, alike, tmp_path):
    folders = [write_pictures(tmp_path / name, images) for name, images in (("real", real), ("fake", alike))]
    masks = [{name: _disc(at, k) for k, name in enumerate(ImageSet.open(folder).names)} for at, folder in
             zip((20, 20), folders, strict=True)]  # fmt: skip
    masks[1]["003.png"] = np.roll(masks[1]["003.png"], 12, 1)
    masks[1]["004.png"] = np.zeros((40, 40), np.uint8)
    rules = {**QUIET, "undefined": False}
    result = gate(
        folders[1], folders[0], asked(scores=None, samples=rules), reference_masks=masks[0], generated_masks=masks[1]
    )
    reasons = {name: verdicts[0].reason for name, verdicts in result.rejected_images.items()}
    assert "centre at 0.7" in reasons["003.png"]
    assert "is missing" in reasons["004.png"]
    assert len(reasons) <= 5
    sets = [ImageSet.open(folder, masks=own) for folder, own in zip(folders, masks, strict=True)]
    with pytest.raises(InputError, match="structures: the sets are open already"):
        gate(sets[1], sets[0], asked(structures=["heart"]))


def test_every_structure_is_judged_by_itself(real, alike, tmp_path):
    folders = [write_pictures(tmp_path / name / "images", images[:30]) for name, images in (("r", real), ("f", alike))]
    for folder in folders:
        (folder.parent / "masks").mkdir()
        images = [{"id": k, "file_name": f"{k:03}.png", "height": 40, "width": 40} for k in range(30)]
        parts = [
            {"image_id": k, "category_id": part, "segmentation": _rle(_disc(12 + 14 * part, k + 50 * part))}
            for k in range(30)
            for part in (0, 1)
            if not (folder == folders[1] and (k, part) == (3, 1))
        ]
        categories = [{"id": 0, "name": "lung"}, {"id": 1, "name": "heart"}]
        content = {"images": images, "annotations": parts, "categories": categories}
        (folder.parent / "masks" / "annotations.json").write_text(json.dumps(content))
    policy = asked(scores=None, structures=["lung", "heart"], samples={**QUIET, "anatomy": 0.05})
    result = gate(folders[1].parent, folders[0].parent, policy, reference_masks="own", generated_masks="own")
    assert result.checks["anatomy"] == 30
    assert "heart is missing; at least 95% of the reference have it" in [
        one.reason for one in result.rejected_images["003.png"]
    ]


def _rle(mask):
    found = rle.encode(np.asfortranarray(mask))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


def _disc(at, seed):
    rng = np.random.default_rng(seed)
    y, x = np.indices((40, 40)) - (at + rng.uniform(-1, 1))
    return (x**2 + y**2 < rng.uniform(8, 9) ** 2).astype(np.uint8)


def test_copies_of_training_images_are_refused(real, monkeypatch):
    monkeypatch.setattr("synth.metrics.gate.gating.MOST_PAIRS", 0)
    taught = pictures(21, N)
    fake = pictures(22, N)
    fake[:20] = np.clip(taught[:20].astype(int) + 1, 0, 255)
    fake[20] = taught[30]
    rules = {**QUIET, "copies": 0.05}
    result = gate(fake, real, asked(scores=None, samples=rules), training=taught)
    refused = result.rejected_images
    assert sum(f"image {k}" in refused for k in range(20)) > 15
    assert refused["image 20"][0].reason == "is image 30 of the training set, pixel by pixel"
    assert "memorisation features" in outcomes(result)
    assert any("too many to compare pixels" in line for line in result.warnings)
    unchecked = gate(fake, real, asked(scores=None, samples={**QUIET, "copies": 0}, least_accepted=0), training=taught)
    assert not unchecked.accepted
    assert any("copies of training images" in one.reason for one in unchecked.scores if not one.accepted)


class SexByCorner:
    name, attributes = "corner", {"sex": ("F", "M")}

    def read(self, images):
        return {"sex": np.array([[0.9, 0.1] if image[0, 0] > 99 else [0.1, 0.9] for image in images])}


def test_images_that_are_not_what_was_asked_for_are_refused(real, alike, tmp_path):
    marked = alike.copy()
    marked[:, 0, 0] = [200, 0] * (N // 2)
    folder = write_pictures(tmp_path / "fake", marked, {"sex": ["F", "M"] * (N // 2 - 1) + ["F", "F"]})
    result = gate(folder, real, asked(scores=None), reader=SexByCorner())
    assert result.checks["condition"] == N
    reasons = [one.reason for one in result.rejected_images["059.png"]]
    assert "asked for F (10%), read as M (90%)" in reasons


def test_organs_of_a_ct_have_the_density_of_organs(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("real", "fake"):
        for folder in ("ct", "map"):
            (tmp_path / name / folder).mkdir(parents=True)
        for k in range(4):
            hu = np.rint(rng.normal(0, 20, (12, 14, 16))).astype(np.int16)
            labels = np.zeros(hu.shape, np.int16)
            labels[2:9, 2:10, 2:10] = 5  # TotalSegmentator's liver
            hu[labels == 5] += 60
            if name == "fake" and k == 1:
                hu[labels == 5] += 500
            if name == "fake" and k == 2:
                labels[:] = np.where(labels == 5, 1, 0)  # a spleen instead
            write_array(tmp_path / name / "ct" / f"{k}.nii.gz", hu, affine())
            write_array(tmp_path / name / "map" / f"{k}.nii.gz", labels, affine())
    policy = asked(scores=None, samples={"artefacts": 0})
    folders = [(tmp_path / name / "ct", tmp_path / name / "map") for name in ("real", "fake")]
    result = gate(folders[1][0], folders[0][0], policy, reference_masks=folders[0][1], generated_masks=folders[1][1])
    assert result.checks["organs"] == 4
    reasons = {name: [one.reason for one in why] for name, why in result.rejected_images.items()}
    assert set(reasons) == {"1.nii.gz", "2.nii.gz"}
    assert "outside -22 to 162" in reasons["1.nii.gz"][0]
    assert "liver is missing" in reasons["2.nii.gz"]
    assert any(line.startswith("outlier not judged") for line in result.warnings)


def test_rules_can_be_turned_off_and_shares_asked_for(real, alike):
    bad = alike.copy()
    bad[1:16] = bad[0]
    result = gate(bad, real, asked(scores=None))
    assert outcomes(result) == {"accepted share": "fail"}
    assert "45 of 60 images accepted" in result.answer
    assert result.card is None
    off = gate(bad, real, asked(scores=None, samples={**QUIET, "repeats": False}))
    assert off.accepted
    assert "repeats" not in off.checks
    assert gate(bad, real, asked(scores=None, least_accepted=0.5)).accepted


def test_a_set_copied_from_the_reference_is_refused(real):
    result = gate(real, real, asked())
    assert not result.accepted
    assert not result.accepted_images


def test_too_few_images_are_undecided_and_refused_unless_asked_otherwise(real, alike):
    result = gate(alike[:15], real[:15], asked(scores={"recall": None, "coverage": None, "vendi": None}))
    assert outcomes(result)["precision"] == "undecided"
    assert not result.accepted
    assert any(line.startswith("undecided: precision") for line in result.warnings)
    lenient = asked(scores={"recall": None, "coverage": None, "vendi": None}, undecided="accept")
    assert gate(alike[:15], real[:15], lenient).accepted


@pytest.mark.parametrize(("undecided", "value", "accepted"), [("value", 0.8, True), ("value", 1.1, False),
    ("accept", 1.1, True), ("reject", 0.8, False)])  # fmt: skip
def test_the_policy_decides_what_an_interval_leaves_open(undecided, value, accepted):
    verdict = judge("fd", Score(value, 0.5, 1.5), Limit(1.0, True, "at most 1"), undecided)
    assert (verdict.outcome, verdict.accepted) == ("undecided", accepted)
    assert "0.5 to 1.5 on both sides" in verdict.reason


def test_masks_reach_the_features(real, alike):
    masks = np.zeros(real.shape, np.uint8)
    masks[:, 8:30, 8:30] = 1
    empty = masks.copy()
    empty[4] = 0
    result = gate(alike, real, asked(), reference_masks=masks, generated_masks=empty)
    assert list(result.rejected_images) == ["image 4"]
    assert "a mask that is empty" in result.rejected_images["image 4"][0].reason


def test_bad_sets_are_errors(real, alike, tmp_path):
    (tmp_path / "empty").mkdir()
    for images in (tmp_path / "empty", tmp_path / "none", alike[:1]):
        with pytest.raises(InputError):
            gate(images, real)
    folder = write_pictures(tmp_path / "real", real)
    (folder / "003.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"003\.png"):
        gate(alike, folder)


def test_reports_are_whole(real, alike, tmp_path):
    bad = alike.copy()
    bad[1] = bad[0]
    result = gate(bad, real, policy_from({"samples": QUIET}))
    write_reports(result, tmp_path / "reports")
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == sorted(REPORTS)
    told = json.loads((tmp_path / "reports" / "gate.json").read_text())
    assert told["accepted"] is True
    assert told["rejected_images"][0]["file_name"] == "image 1"
    assert policy_from(told["policy"]) == result.policy
    assert len(told["scorecard"]["scores"]) == 6
    accepted = (tmp_path / "reports" / "accepted.csv").read_text().splitlines()
    assert (accepted[0], len(accepted)) == ("file_name", N)
    rejected = (tmp_path / "reports" / "rejected.csv").read_text()
    assert rejected == "file_name,checks,reasons\nimage 1,repeats,repeats image 0 pixel by pixel\n"


def test_deleting_takes_files_and_rows_and_nothing_else(alike, tmp_path):
    folder = write_pictures(tmp_path / "fake", alike[:4], {"sex": list("FMFM")})
    outside = write_pictures(tmp_path / "other", alike[4:5]) / "000.png"
    with (folder / "metadata.csv").open("a") as table:
        table.write("../other/000.png,F\n")
    delete_images(folder, ImageSet.open(folder), {"001.png", "../other/000.png"})
    assert sorted(path.name for path in folder.iterdir()) == ["000.png", "002.png", "003.png", "metadata.csv"]
    assert (folder / "metadata.csv").read_text() == "file_name,sex\n000.png,F\n002.png,F\n003.png,M\n"
    assert outside.exists()
