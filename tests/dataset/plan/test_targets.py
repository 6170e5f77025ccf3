"""The joint distribution, age groups, and targets over it."""

from fractions import Fraction

import pytest

from synth.core.errors import InputError
from synth.dataset.plan.groups import AgeGroups
from synth.dataset.plan.reference import read_reference
from synth.dataset.plan.table import tabulate
from synth.dataset.plan.targets import read_target
from tests.dataset.plan.label_files import write

ROWS = [
    ["F", "25", "White", "Edema"],
    ["F", "45", "White", "Edema|Pneumonia"],
    ["M", "45", "Unknown", ""],
    ["M", "17", "White", "Edema"],
    ["", "85", "Black", "normal"],
    ["M", "", "Black", "Scoliosis"],
]


@pytest.fixture
def reference(tmp_path):
    return read_reference(write(tmp_path / "a.csv", ["sex", "age", "race", "finding"], ROWS))


def counts(table):
    return {cell: int(n) for cell, n in zip(table.cells, table.before, strict=True) if n}


def fillable(table):
    return {cell for cell, may in zip(table.cells, table.open, strict=True) if may}


def test_the_joint_distribution_with_unknowns(reference):
    table = tabulate(reference, ["sex", "age_group"])
    assert table.columns[1].values == ("18-39", "40-59", "60-79", "80+", "unknown")
    assert counts(table) == {
        ("F", "18-39"): 1,
        ("F", "40-59"): 1,
        ("M", "40-59"): 1,
        ("M", "unknown"): 1,
        ("unknown", "80+"): 1,
    }
    assert len(fillable(table)) == 8


def test_other_findings_and_unknowns_are_counted_and_not_filled(reference):
    table = tabulate(reference, ["finding"])
    assert counts(table) == {("No Finding",): 1, ("Edema",): 1, ("Pneumonia",): 1, ("Other",): 1, ("unknown",): 1}
    assert fillable(table) == {("No Finding",), ("Edema",), ("Pneumonia",)}


def test_unknown_dropped_or_on_its_own(reference):
    dropped = tabulate(reference, ["sex", "race"], unknown="drop")
    assert counts(dropped) == {("F", "White"): 2, ("M", "Black"): 1}
    own = tabulate(reference, ["sex"], unknown="own")
    assert fillable(own) == {("F",), ("M",), ("unknown",)}


@pytest.mark.parametrize(
    ("balance", "options", "words"),
    [
        (["hair"], {}, "unknown column 'hair'; use sex, age_group, race, view, finding"),
        (["sex", "sex"], {}, "sex is named twice"),
        (["view"], {}, "a.csv says nothing of view; it tells sex, age_group, race, finding"),
        ([], {}, "name at least one"),
        (["sex"], {"unknown": "lose"}, "--unknown lose: use one of keep, drop, own"),
        (["sex"], {"groups": AgeGroups((90,))}, "no image is left|Edema"),
    ],
)
def test_tables_that_cannot_be(reference, balance, options, words):
    if "no image" in words:
        reference = reference.where([row.age is not None for row in reference.rows], "of unknown age")
    with pytest.raises(InputError, match=words):
        tabulate(reference, balance, **options)


def test_age_groups():
    assert AgeGroups.read("18,40").names == ("18-39", "40+")
    assert AgeGroups.read("decades").names[:2] == ("18-29", "30-39")
    groups = AgeGroups.read("0, 18, 65")
    assert [groups.of(age) for age in (0, 17.9, 18, 64.99, 65, 95)] == [0, 0, 1, 1, 2, 2]
    assert [groups.years(k) for k in range(3)] == [(0, 17), (18, 64), (65, 95)]
    for text in ("", "40,18", "18,18", "a", "18,-4", "18,95"):
        with pytest.raises(InputError, match="give rising whole years"):
            AgeGroups.read(text)


def test_targets(reference, tmp_path):
    table = tabulate(reference, ["sex", "race"])
    uniform = read_target("uniform", table)
    assert dict(zip(table.cells, uniform.weights, strict=True))["M", "White"] == 1
    assert sum(uniform.weights) == 4
    observed = dict(zip(table.cells, read_target("reference", table).weights, strict=True))
    assert (observed["F", "White"], observed["M", "Black"], observed["unknown", "Black"]) == (2, 1, 0)
    path = write(tmp_path / "t.csv", ["race", "share", "sex"], [["White", "0.1", "F"], ["Black", "2/3", "M"]])
    target = read_target(path, table)
    wanted = {cell: w for cell, w in zip(table.cells, target.weights, strict=True) if w}
    assert wanted == {("F", "White"): Fraction(1, 10), ("M", "Black"): Fraction(2, 3)}
    assert (target.name, target.counted) == ("t.csv", False)
    assert read_target(write(tmp_path / "n.csv", ["sex", "race", "count"], [["F", "White", "3"]]), table).counted


@pytest.mark.parametrize(
    ("header", "rows", "words"),
    [
        (["sex", "share"], [["F", "1"]], r"t\.csv: must have the columns sex, race and either share or count"),
        (["sex", "race", "share", "count"], [], "must have the columns"),
        (["sex", "race", "count"], [["F", "Wite", "1"]], r"line 2: unknown race 'Wite'; did you mean 'White'\?"),
        (["sex", "race", "count"], [["F", "White", "1.5"]], "line 2: '1.5' is not a whole number"),
        (["sex", "race", "share"], [["F", "White", "-1"]], "line 2: '-1' is not a share"),
        (["sex", "race", "share"], [["F", "White", "1"], ["F", "White", "1"]], "line 3: F, White stands there twice"),
        (["sex", "race", "share"], [["unknown", "White", "1"]], "line 2: unknown, White cannot be made"),
        (["sex", "race", "share"], [["F", "White", "0"]], "no cell has a share above 0"),
    ],
)
def test_tables_of_targets_that_mean_nothing(reference, tmp_path, header, rows, words):
    with pytest.raises(InputError, match=words):
        read_target(write(tmp_path / "t.csv", header, rows), tabulate(reference, ["sex", "race"]))


def test_no_table(reference, tmp_path):
    with pytest.raises(InputError, match="no such file; use uniform, reference or a CSV file"):
        read_target(tmp_path / "none.csv", tabulate(reference, ["sex"]))
