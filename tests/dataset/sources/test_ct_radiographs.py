"""A request takes one CT: by its number, or whoever is asked for; nothing tells what its files are called."""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.core.record import Finding, Sample
from synth.core.writing import write_labels, write_volume
from synth.dataset.manifest import dump
from synth.dataset.patients.ct_files import CtFiles
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.phantom_scans import PhantomJob
from synth.dataset.radiographs.job import DrrJob
from synth.dataset.request import Request, seed_of
from synth.dataset.source import CannotMakeError
from synth.dataset.sources import ct_radiographs
from synth.dataset.sources.ct_radiographs import CtRadiographs
from synth.dataset.sources.ct_table import Person
from tests.end_to_end import scene

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PEOPLE = (Person("F", 40.0, "Asian"), Person("M", 70.0), Person("F", 66.0))
EFFUSION = Finding("Pleural Effusion", "left", severity="large")


def source_of(files: CtFiles, people: tuple[Person, ...] = (), poses: int = 1) -> CtRadiographs:
    return CtRadiographs(files, DrrJob(files, views=("pa",), poses=poses, preset="random", shape=(40, 40)), people)


def made(source: CtRadiographs, *requests: Request) -> list[Sequence[Sample]]:
    out = []
    for samples in source.make(requests):
        assert not isinstance(samples, CannotMakeError)
        out.append(samples)
    return out


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> CtFiles:
    """Three small chests that differ by their noise."""
    folder = tmp_path_factory.mktemp("cts")
    cts = tuple(scene.write_ct(folder / f"Doe^Jane-{number}.nii.gz", seed=number) for number in range(3))
    return CtFiles(cts, named=False)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> CtFiles:
    """A body with all of its organs labelled."""
    folder = tmp_path_factory.mktemp("body")
    body = PhantomJob(Phantoms(1, 3, findings=(), spacing_mm=5.0)).sample(0)
    write_volume(folder / "body.nii.gz", body.volume)
    write_labels(folder / "map.nii.gz", body.maps["total"])
    return CtFiles((folder / "body.nii.gz",), (folder / "map.nii.gz",), masks="groups", named=False)


def test_the_number_picks_the_ct(three: CtFiles) -> None:
    source = source_of(three, poses=2)
    found = made(source, *(Request(number, seed_of(0, number)) for number in (0, 4, 5)))
    assert [[sample.index for sample in samples] for samples in found] == [[0, 1], [8, 9], [10, 11]]
    assert [samples[0].record.source for samples in found] == ["ct:0", "ct:1", "ct:2"]
    assert found[0][0].record.sex is None


def test_a_case_depends_on_its_request_alone(three: CtFiles) -> None:
    source: CtRadiographs = pickle.loads(pickle.dumps(source_of(three)))
    first, other, again = (samples[0] for samples in made(source, Request(1, 7), Request(4, 8), Request(1, 7)))
    assert np.array_equal(first.image, again.image)
    assert first.record == again.record
    assert other.record.source == first.record.source
    assert not np.array_equal(other.image, first.image)  # another pose, technique and noise


def test_a_ct_is_read_once(three: CtFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    ct_radiographs._loaded.cache_clear()
    read: list[int] = []
    load = CtFiles.load
    monkeypatch.setattr(CtFiles, "load", lambda self, number, **how: read.append(number) or load(self, number, **how))
    source = source_of(three)
    made(source, Request(0, 1), Request(3, 2), Request(1, 3), Request(0, 1).again(1))
    assert read == [0, 1]
    made(source, Request(2, 1), Request(0, 1))  # two are kept
    assert read == [0, 1, 2]


def test_whom_a_plan_asks_for(three: CtFiles) -> None:
    source = source_of(three, PEOPLE)
    ((male,), (old,), (young,)) = made(
        source, Request(0, 1, sex="M"), Request(1, 2, sex="F", age=63.0), Request(2, 3, race="ASIAN")
    )
    assert (male.record.source, male.record.sex, male.record.age) == ("ct:1", "M", 70.0)
    assert (old.record.source, old.record.sex, old.record.age) == ("ct:2", "F", 66.0)
    assert (young.record.source, young.record.race) == ("ct:0", "Asian")
    taken = {source._choice(Request(0, seed, sex="F")) for seed in range(20)}
    assert taken == {0, 2}


def test_whom_no_ct_is_of(three: CtFiles) -> None:
    source = source_of(three, PEOPLE)
    with pytest.raises(InputError, match=r"case ann: no CT is of a patient of sex M, age 40 \(age ±5 years\)"):
        source.refuse(Request(0, 1, id="ann", sex="M", age=40.0))
    with pytest.raises(InputError, match=r"no CT is of a patient of race Elf"):
        list(source.make([Request(0, 1, race="Elf")]))
    with pytest.raises(InputError, match="case 0: asks for sex F; give a table that says whom each CT is of"):
        source_of(three).refuse(Request(0, 1, sex="F"))
    source.refuse(Request(0, 1, sex="F"))


def test_findings_are_put_in(labelled: CtFiles) -> None:
    source = source_of(labelled)
    with_it, without = (samples[0] for samples in made(source, Request(0, 5, findings=(EFFUSION,)), Request(0, 5)))
    (found,) = with_it.record.findings
    assert (found.name, found.laterality, found.severity) == ("Pleural Effusion", "left", "large")
    assert without.record.findings == ()
    masks = {mask.name: mask.array for mask in with_it.masks}
    effusion = masks["finding:pleural effusion"]
    changed = with_it.image.astype(int) - without.image
    assert changed[effusion].mean() > changed[~effusion].mean() + 2000  # fluid is brighter than lung
    (again,) = made(replace(source, files=replace(labelled, findings=(EFFUSION,))), Request(0, 5))
    assert np.array_equal(again[0].image, with_it.image)  # the source's where the request leaves it open
    (none,) = made(replace(source, files=replace(labelled, findings=(EFFUSION,))), Request(0, 5, findings=()))
    assert np.array_equal(none[0].image, without.image)


def test_findings_need_label_maps(three: CtFiles) -> None:
    source = source_of(three)
    with pytest.raises(InputError, match="case 0: findings are put where label maps show the organs; give labels"):
        source.refuse(Request(0, 1, findings=(EFFUSION,)))
    source.refuse(Request(0, 1, findings=()))


def test_a_finding_that_finds_no_place(three: CtFiles, tmp_path: Path) -> None:
    maps = tuple(scene.write_labels(tmp_path / f"map{number}.nii.gz") for number in range(3))
    source = source_of(replace(three, labels=maps, masks="none"))
    (answer,) = source.make([Request(0, 1, findings=(Finding("Support Devices", kind="sternal wires"),))])
    assert isinstance(answer, CannotMakeError)
    assert str(answer).startswith("sternal wires: needs the label sternum")


def test_the_recipe_names_no_file(three: CtFiles) -> None:
    plain = source_of(three, PEOPLE).recipe()
    text = dump(plain).decode()
    assert "Doe" not in text
    assert "Jane" not in text
    assert plain["cases"][0] == {
        "ct": "0",
        "bytes": three.cts[0].stat().st_size,
        "sex": "F",
        "age": 40.0,
        "race": "Asian",
    }
    assert plain["age_within"] == 5.0
    assert source_of(three).recipe()["cases"][1]["ct"] == "1"


def test_what_cannot_be_made_names_no_file(three: CtFiles, tmp_path: Path) -> None:
    maps = tuple(scene.write_labels(tmp_path / f"Doe^Jane-{number}_seg.nii.gz") for number in range(3))
    volume, (labels,) = replace(three, labels=maps).load(2, labelled=True)
    assert (volume.name, labels.name) == ("2", "2")
    assert three.load(2, labelled=True)[1] == ()
    named, (map_named,) = replace(three, labels=maps, named=True).load(2, labelled=True)
    assert (named.name, map_named.name) == ("Doe^Jane-2", "Doe^Jane-2_seg")


def test_the_output_may_not_lie_among_the_cts(tmp_path: Path) -> None:
    series = scene.write_ct(tmp_path / "series")
    source = source_of(CtFiles((series,), named=False))
    source.check(tmp_path / "out")
    with pytest.raises(InputError, match="lies in the CT's folder"):
        source.check(series / "out")
    with pytest.raises(InputError, match="no such file or folder"):
        source_of(CtFiles((tmp_path / "none",))).check(tmp_path / "out")
