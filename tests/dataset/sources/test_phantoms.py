"""Phantoms that a dataset asks for are those that `synth drr` and `synth phantom` draw, with the wishes granted."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

from synth.anatomy.patient import Patient
from synth.core.errors import InputError
from synth.core.record import Finding
from synth.dataset.manifest import dump, refuse_paths
from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.phantom_scans import PhantomJob
from synth.dataset.radiographs.job import DrrJob
from synth.dataset.request import Request
from synth.dataset.source import CannotMakeError
from synth.dataset.sources.people import asked, population
from synth.dataset.sources.phantom_radiographs import PhantomRadiographs
from synth.dataset.sources.phantom_scans import PhantomScans

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from synth.core.record import Sample, ScanSample

PEOPLE = Phantoms(1, spacing_mm=5.0, masks="groups", race="Asian", findings=())
EFFUSION = Finding("Pleural Effusion", "left")
WISH = Request(6, 40, sex="F", age=50.0, findings=(EFFUSION, Finding("No Finding")))


def radiographs(views: tuple[str, ...] = ("pa", "lateral"), poses: int = 1) -> PhantomRadiographs:
    return PhantomRadiographs(PEOPLE, DrrJob(PEOPLE, views=views, poses=poses, preset="random", shape=(48, 48)))


def names(sample: Sample) -> list[str]:
    return [mask.name for mask in sample.masks]


def same(a: Sequence[Sample], b: Sequence[Sample]) -> bool:
    return len(a) == len(b) and all(
        x.record == y.record and np.array_equal(x.image, y.image) and names(x) == names(y)
        for x, y in zip(a, b, strict=True)
    )


@pytest.fixture(scope="module")
def wished() -> list[Sample]:
    """What WISH gives."""
    (made,) = radiographs().make([WISH])
    assert not isinstance(made, CannotMakeError)
    return list(made)


def test_wishes_are_granted(wished: list[Sample]) -> None:
    assert [(sample.index, sample.record.view) for sample in wished] == [(12, "PA"), (13, "LATERAL")]
    for sample in wished:
        record = sample.record
        assert (record.sex, record.age, record.race, record.seed) == ("F", 50.0, "Asian", 40)
        assert [(finding.name, finding.laterality) for finding in record.findings] == [("Pleural Effusion", "left")]
        assert "finding:pleural effusion" in names(sample)


def test_they_are_those_of_synth_drr(wished: list[Sample]) -> None:
    people = Phantoms(
        1, 40, sex="F", ages=(50.0, 50.0), race="Asian", findings=(EFFUSION,), spacing_mm=5.0, masks="groups"
    )
    job = DrrJob(people, poses=1, preset="random", shape=(48, 48), seed=40)
    assert same(wished, sorted(job.samples([0, 1]), key=lambda sample: sample.index))


def test_a_case_depends_on_its_request_alone(wished: list[Sample]) -> None:
    source: PhantomRadiographs = pickle.loads(pickle.dumps(radiographs()))
    other, again = source.make([Request(0, 41), WISH])
    assert not isinstance(other, CannotMakeError)
    assert not isinstance(again, CannotMakeError)
    assert same(again, wished)
    assert [sample.index for sample in other] == [0, 1]
    assert other[0].record.findings == ()  # the source's, as the request leaves it open


def test_a_request_s_view_takes_the_place_of_the_source_s() -> None:
    source = radiographs(views=("pa",), poses=2)
    (made,) = source.make([Request(3, 5, view="LATERAL")])
    assert not isinstance(made, CannotMakeError)
    assert [(sample.index, sample.record.view) for sample in made] == [(6, "LATERAL"), (7, "LATERAL")]


def test_no_room_for_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise InputError("no room")

    monkeypatch.setattr(Patient, "scan", full)
    scans = PhantomScans(PhantomJob(Phantoms(1, spacing_mm=5.0)))
    for source in (radiographs(), scans):
        (made,) = source.make([WISH])
        assert isinstance(made, CannotMakeError)
        assert str(made) == "no room"
    with pytest.raises(InputError, match="no room"):  # nothing was asked for: an error like any other
        list(scans.make([Request(0, 1)]))


def test_what_is_refused_in_advance() -> None:
    source = radiographs()
    for request, said in [
        (Request(0, 1, age=7.0), "case 0: age"),
        (Request(0, 1, findings=(Finding("Infiltration"),)), "case 0: no finding 'Infiltration'"),
        (Request(0, 1, view="PA"), "case 0: asks for view PA, and each case has the views pa, lateral"),
        (Request(0, 1, view="up"), "unknown view 'up'"),
    ]:
        with pytest.raises(InputError, match=said):
            source.refuse(request)
    source.refuse(WISH)
    radiographs(views=("pa",)).refuse(Request(0, 1, view="LATERAL"))


def test_scans() -> None:
    source = PhantomScans(PhantomJob(Phantoms(1, spacing_mm=5.0), shape=(16, 40, 48)))
    request = Request(4, 9, sex="M", age=70.0, findings=(), view="PA")
    source.refuse(request)
    (made,) = source.make([request])
    assert not isinstance(made, CannotMakeError)
    (scan,) = made
    assert (scan.index, scan.record.sex, scan.record.age, scan.record.view) == (4, "M", 70.0, "CT")
    twin: ScanSample = PhantomJob(
        Phantoms(1, 9, sex="M", ages=(70.0, 70.0), findings=(), spacing_mm=5.0), shape=(16, 40, 48)
    ).sample(0)
    assert np.array_equal(scan.volume.hu, twin.volume.hu)
    assert scan.record == twin.record


def test_recipes_are_plain_and_without_what_requests_have() -> None:
    for source in (radiographs(), PhantomScans(PhantomJob(Phantoms(1)))):
        plain = source.recipe()
        dump(plain)
        assert not {"seed", "phantoms", "command"} & set(plain)
        assert plain["spacing_mm"] in (5.0, 1.5)


def test_a_population_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "jane_doe.csv"
    path.write_text("finding,sex,age\nEffusion,F,60\nNo Finding,M,50\n")
    fields = population(path.name, path)
    assert fields["population_digest"]
    assert "jane" not in repr({**fields, "population": None})
    assert asked(Phantoms(1, **fields), Request(0, 3, sex="F")).patient(0).person.sex == "F"
    refuse_paths(Phantoms(1, **fields).recipe(), "recipe")
    with pytest.raises(InputError, match="nobody"):
        population("nobody", tmp_path / "nobody")
