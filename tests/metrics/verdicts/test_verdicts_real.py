from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from synth.core.reading import read_labels, read_volume
from synth.metrics.extractors.run import features
from synth.metrics.images.sets import ImageSet
from synth.metrics.memorisation.copying import memorisation
from synth.metrics.verdicts import Anatomy, Artefacts, Outliers, organ_verdicts, outcome_of


@pytest.fixture(scope="module")
def radiographs(shared_data):
    """Real chest X-rays at 96 pixels, by split."""
    images = ImageSet.open(shared_data / "cxr", resize=96)
    split = np.array(images.column("split"))
    return {name: images.subset(np.flatnonzero(split == name)) for name in ("train", "val", "test")}


@pytest.fixture(scope="module")
def tables(radiographs):
    return {name: features(images, cache=False) for name, images in radiographs.items()}


@pytest.mark.parametrize("rate", [0.01, 0.02, 0.05])
def test_the_false_rejection_rate_holds_on_fresh_real_images(tables, rate):
    train, test = tables["train"], tables["test"]
    patients = train.images.column("patient_id")
    judge = Outliers.fit(train.values, train.feature_names, rate=rate, patients=patients)
    refused = float((judge.values(test.values) > judge.threshold).mean())
    assert abs(refused - rate) <= 0.02


def test_the_rate_holds_on_average_for_random_patients_and_for_random_images(tables):
    """Of one draw the refused share varies by 1.4 points (154 patients, and 296 that set the threshold)."""
    values = np.concatenate([one.values for one in tables.values()])
    patients = np.concatenate([one.images.column("patient_id") for one in tables.values()])
    by_patient, by_image = [], []
    for seed in range(20):
        people = np.random.default_rng(seed).permutation(np.unique(patients))
        old, new = np.isin(patients, people[:296]), np.isin(patients, people[296:450])
        judge = Outliers.fit(values[old], rate=0.02, patients=patients[old])
        refused = judge.values(values[new]) > judge.threshold
        by_image.append(refused.mean())
        by_patient.append(np.mean([refused[patients[new] == one].mean() for one in np.unique(patients[new])]))
    assert np.mean(by_patient) == pytest.approx(0.02, abs=0.01)
    assert np.mean(by_image) == pytest.approx(0.02, abs=0.01)


def test_blurred_and_noisy_copies_are_outliers(radiographs, tables):
    train = tables["train"]
    judge = Outliers.fit(train.values, train.feature_names, patients=train.images.column("patient_id"))
    pixels = np.stack([image.pixels for image in radiographs["test"].subset(range(40)).stream()]).astype(float)
    noise = 25 * np.random.default_rng(0).standard_normal(pixels.shape)
    for changed in (gaussian_filter(pixels, (0, 3, 3)), pixels + noise):
        table = features(np.rint(changed.clip(0, 255)).astype(np.uint8), cache=False).values
        assert np.mean([judge.judge(row).outcome == "fail" for row in table]) > 0.8


def test_real_images_are_no_artefacts(radiographs):
    train = radiographs["train"]
    judge = Artefacts.fit((image.pixels for image in train.stream()), patients=train.column("patient_id"))
    outcomes = [outcome_of(judge.judge(image.pixels)) for image in radiographs["test"].stream()]
    assert abs(outcomes.count("fail") / len(outcomes) - judge.rate) <= 0.03


def test_masks_of_real_lungs(shared_data):
    images = ImageSet.open(shared_data / "cxr", masks="lung_mask", unpaired="drop", resize=96)
    masks = [{"lungs": image.mask} for image in images.stream()]
    patients = np.array(images.column("patient_id"))
    fresh = np.isin(patients, np.unique(patients)[::4])
    kept = [mask for mask, out in zip(masks, fresh, strict=True) if not out]
    judge = Anatomy.fit(kept, rate=0.05, patients=patients[~fresh])
    outcomes = [outcome_of(judge.judge(mask)) for mask, out in zip(masks, fresh, strict=True) if out]
    assert outcomes.count("fail") <= 0.15 * len(outcomes)
    upper = masks[0]["lungs"].copy()
    upper[30:] = False
    assert judge.judge({"lungs": upper})[0].outcome == "fail"


def test_organs_of_a_real_ct(shared_data):
    folder = shared_data / "ct"
    volume = read_volume(folder / "totalseg_example_abdomen.nii.gz")
    labels = read_labels(folder / "totalseg_example_abdomen_seg.nii.gz", volume)
    verdicts = organ_verdicts(volume.hu, labels.array, labels.names)
    assert len(verdicts) >= 4
    assert {one.outcome for one in verdicts} <= {"pass", "undecided"}
    shifted = {one.name: one.outcome for one in organ_verdicts(volume.hu + 600, labels.array, labels.names)}
    known = [one.name for one in verdicts if one.outcome == "pass" and one.name != "HU bone"]
    assert known
    assert all(shifted[name] == "fail" for name in known)


def test_real_against_real_is_no_memorisation(tables):
    train, test, val = tables["train"], tables["test"], tables["val"]
    usable = train.values.std(0) > 1e-9
    mean, scale = train.values[:, usable].mean(0), train.values[:, usable].std(0)
    x, y, z = ((one.values[:, usable] - mean) / scale for one in (train, test, val))
    patients = {
        "train_patients": train.images.column("patient_id"),
        "holdout_patients": test.images.column("patient_id"),
    }
    rng = np.random.default_rng(0)
    assert memorisation(z, x, y, rng=rng, permutations=99, **patients).p_value > 0.05
    z[:6] = x[100:106] + 0.1 * rng.standard_normal((6, x.shape[1]))
    assert memorisation(z, x[90:250], y, rng=rng, permutations=99).p_value <= 0.05
