"""Plans as a whole: counts that come out, records as the reference has them, and the same from the same seed."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from synth.core.errors import InputError
from synth.dataset.plan import InfeasibleError, PlanSettings, make_plan, read_reference
from synth.dataset.plan.groups import AgeGroups
from synth.dataset.plan.summary import ANY_FINDING, summary, text_summary
from tests.dataset.plan import label_files
from tests.dataset.plan.label_files import write


def cell_of(plan, request):
    """The cell of a sample, found again from what it asks for."""
    labels = [(finding.name, finding.kind) for finding in request.findings]
    groups = plan.settings.groups
    values = {
        "sex": request.sex,
        "age_group": groups.names[groups.of(request.age)],
        "race": request.race,
        "view": request.view,
        "finding": plan.reference.primary(labels),
    }
    return tuple(values[name] for name in plan.settings.balance)


def made(plan):
    return {cell: n for cell, n in zip(plan.table.cells, plan.made, strict=True) if n}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Cardiomegaly mostly in old women and with edema; young men healthy or with a pneumothorax."""
    rows = [["F", "70", "White", "PA", "Cardiomegaly|Edema"]] * 30 + [["F", "82", "White", "AP", "Cardiomegaly"]] * 3
    rows += [["M", "25", "Black", "PA", "none"]] * 60 + [["M", "30", "Black", "PA", "Pneumothorax"]] * 2
    rows += [["M", "50", "White", "AP", "Edema"]] * 40
    return write(tmp_path_factory.mktemp("plan") / "a.csv", ["sex", "age", "race", "view", "finding"], rows)


def test_real_metadata_comes_out_exactly_balanced(shared_data):
    """Without a total as many are made as it takes: every cell then holds what the fullest held before."""
    reference = read_reference(shared_data / "cxr" / "metadata.csv")
    plan = make_plan(reference, PlanSettings(("sex", "age_group", "finding")))
    filled = [n for n, may in zip(plan.after, plan.table.open, strict=True) if may]
    assert len(filled) == 2 * 4 * 13
    assert set(filled) == {int(plan.table.before[plan.table.open].max())}
    assert Counter(cell_of(plan, one) for one in plan.requests) == made(plan)
    alone = make_plan(reference, PlanSettings(("sex", "age_group", "finding"), total=1040, fill=False))
    assert {n for n, may in zip(alone.made, alone.table.open, strict=True) if may} == {10}
    marginals = summary(alone)["marginals"]
    assert {row["made"] for row in marginals["sex"] if row["value"] != "unknown"} == {520}


def test_a_total_that_does_not_divide_leaves_every_column_even(shared_data):
    reference = read_reference(shared_data / "cxr" / "metadata.csv")
    plan = make_plan(reference, PlanSettings(("sex", "age_group", "finding"), total=156, fill=False))
    assert sum(plan.made) == len(plan.requests) == 156
    for column, most in (("sex", 0), ("age_group", 0), ("finding", 1)):
        counts = [row["made"] for row in summary(plan)["marginals"][column] if row["made"]]
        assert max(counts) - min(counts) <= most


@pytest.mark.parametrize("fill", [True, False])
@pytest.mark.parametrize("target", ["uniform", "reference"])
def test_samples_are_of_the_cells_they_are_made_for(table, target, fill):
    columns = ("sex", "age_group", "race", "view", "finding")
    plan = make_plan(read_reference(table), PlanSettings(columns, total=600, target=target, fill=fill))
    assert sum(plan.made) == 600
    assert Counter(cell_of(plan, one) for one in plan.requests) == made(plan)
    if target == "reference":
        assert all(abs(a - w) < 1 for a, w in zip(plan.after, plan.wished, strict=True))


def test_findings_occur_together_as_in_the_reference(table):
    """Of the women's cardiomegalies 30 of 33 come with edema; nobody has findings that no image has together."""
    plan = make_plan(read_reference(table), PlanSettings(("finding",), total=2000, fill=False, low=0))
    sets = {tuple(finding.name for finding in one.findings) for one in plan.requests}
    assert sets == {("Cardiomegaly", "Edema"), ("Cardiomegaly",), (), ("Pneumothorax",), ("Edema",)}
    hearts = [one for one in plan.requests if "Cardiomegaly" in {finding.name for finding in one.findings}]
    assert np.mean([len(one.findings) == 2 for one in hearts]) == pytest.approx(30 / 33, abs=0.05)
    assert all(one.sex == "F" and one.race == "White" for one in hearts)
    assert {one.age for one in hearts} == {70.0, 82.0}
    assert {(one.age, one.view) for one in hearts} == {(70.0, "PA"), (82.0, "AP")}


def test_few_rows_borrow_from_wider_cells_as_smoothing_says(table):
    """Cardiomegaly at 80+: 3 rows without edema there, 30 with it at 60-79; n rows keep n / (n + smoothing)."""

    def alone(smoothing):
        settings = PlanSettings(("age_group", "finding"), total=4000, fill=False, low=0, smoothing=smoothing)
        plan = make_plan(read_reference(table), settings)
        old = [one for one in plan.requests if cell_of(plan, one) == ("80+", "Cardiomegaly")]
        assert len(old) == 250
        return np.mean([len(one.findings) == 1 for one in old])

    assert alone(0) == 1
    kept = 3 / (3 + 9)
    assert alone(9) == pytest.approx(kept + (1 - kept) * 3 / 33, abs=0.1)
    assert alone(1e9) == pytest.approx(3 / 33, abs=0.06)


def test_ages_are_drawn_within_sex_and_group(table):
    plan = make_plan(read_reference(table), PlanSettings(("sex", "age_group"), total=400, fill=False))
    ages = {}
    for one in plan.requests:
        ages.setdefault(cell_of(plan, one), set()).add(one.age)
    assert ages["M", "18-39"] == {25.0, 30.0}
    assert ages["F", "80+"] == {82.0}
    assert ages["F", "18-39"] <= {25.0, 30.0}  # no woman of that age: as men have them


def test_ages_of_a_group_that_nobody_is_in(table):
    groups = AgeGroups((18, 40, 60, 90))
    plan = make_plan(read_reference(table), PlanSettings(("age_group",), total=400, fill=False, groups=groups))
    assert {one.age for one in plan.requests if one.age >= 90} == {90.0, 91.0, 92.0, 93.0, 94.0, 95.0}


def test_only_values_of_the_reference_are_cells(table, tmp_path):
    target = write(tmp_path / "t.csv", ["finding", "share"], [["Fracture", "1"]])
    with pytest.raises(InputError, match="unknown finding 'Fracture'"):
        make_plan(read_reference(table), PlanSettings(("finding",), total=4, target=target))


def test_one_seed_one_plan_sample_by_sample(table):
    reference = read_reference(table)
    settings = PlanSettings(("sex", "finding"), total=100, seed=5)
    plan = make_plan(reference, settings)
    assert make_plan(read_reference(table), settings).requests == plan.requests
    other = make_plan(reference, replace(settings, seed=6))
    assert other.made == plan.made
    assert other.requests != plan.requests
    assert len({one.seed for one in plan.requests}) == 100
    assert [one.id for one in plan.requests[:2]] == ["00", "01"]


def test_any_beginning_has_nearly_the_distribution(table):
    plan = make_plan(read_reference(table), PlanSettings(("sex", "age_group"), total=800, fill=False))
    for n in (80, 200, 404):
        counts = Counter(cell_of(plan, one) for one in plan.requests[:n])
        assert max(counts.values()) - min(counts.values()) <= 1
    sexes = Counter(one.sex for one in plan.requests[:4])
    assert sexes == {"F": 2, "M": 2}


def test_sides_of_the_reference_are_kept(tmp_path):
    reference = read_reference(label_files.ours(tmp_path))
    plan = make_plan(reference, PlanSettings(("finding",), total=40, fill=False, low=0))
    effusions = [f for one in plan.requests for f in one.findings if f.name == "Pleural Effusion"]
    assert effusions
    assert {finding.laterality for finding in effusions} == {"left"}


def test_prompts_say_what_is_asked_for(table):
    plan = make_plan(read_reference(table), PlanSettings(("sex", "finding"), total=80, view="PA", low=0))
    for one in plan.requests:
        assert one.view == "PA"
        assert {"F": "female", "M": "male"}[one.sex] in one.prompt
        assert f"{one.age:.0f} year old" in one.prompt
        assert ("pneumothorax" in one.prompt.lower()) == any(f.name == "Pneumothorax" for f in one.findings)


def test_what_is_unknown_is_left_to_the_source(tmp_path):
    path = write(tmp_path / "a.csv", ["sex", "race"], [["F", "White"], ["M", ""]])
    plan = make_plan(read_reference(path), PlanSettings(("sex", "race"), total=8, unknown="own", fill=False))
    assert Counter((one.sex, one.race) for one in plan.requests) == {
        (sex, race): 2 for sex in "FM" for race in ("White", None)
    }
    assert {(one.findings, one.age, one.prompt) for one in plan.requests} == {(None, None, "")}


def test_images_of_other_views_and_children_do_not_count(tmp_path):
    rows = [["F", "30", "PA"], ["F", "30", "LATERAL"], ["M", "8", "PA"], ["M", "40", ""]]
    reference = read_reference(write(tmp_path / "a.csv", ["sex", "age", "view"], rows))
    told = summary(make_plan(reference, PlanSettings(("sex",), total=2, view="PA")))
    assert told["reference"]["images"] == 2
    assert told["reference"]["left_out"] == {"not PA": 1, "younger than 18": 1}


def test_targets_of_counts_say_the_total(table, tmp_path):
    target = write(tmp_path / "t.csv", ["sex", "count"], [["F", "40"], ["M", "110"]])
    plan = make_plan(read_reference(table), PlanSettings(("sex",), target=target))
    assert made(plan) == {("F",): 7, ("M",): 8}
    alone = make_plan(read_reference(table), PlanSettings(("sex",), target=target, fill=False))
    assert made(alone) == {("F",): 40, ("M",): 110}
    target = write(tmp_path / "t.csv", ["sex", "count"], [["F", "40"], ["M", "100"]])
    with pytest.raises(
        InfeasibleError, match=r"t\.csv: holds more than its target: M \(holds 102, the target is 100\)"
    ):
        make_plan(read_reference(table), PlanSettings(("sex",), target=target))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"total": 7, "fill": False}, r"--total 7 is too small: 32 are needed to bring 32 cells to --min"),
        ({"total": 100, "high": 50}, r"more already in 1 cell: M, 18-39, No Finding \(holds 60, may hold 50\)"),
        ({"total": 5000, "high": 100}, r"--total 5000 is too large: 32 cells have room for"),
        ({"total": None, "fill": False}, "--total: say how many samples to make"),
        ({"total": None, "target": "reference"}, "has the target's distribution already"),
        ({"total": 0}, "--total must be 1 to"),
        ({"total": 5, "view": "AP", "balance": ("view",)}, "leave view out of --balance"),
        ({"total": 5, "view": "SIDE"}, "--view SIDE: use one of PA, AP, LATERAL"),
        ({"total": 500, "smoothing": -1}, "--smoothing must be"),
        ({"total": 500, "low": 5, "high": 4}, "--min is above --max"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(table, settings, words):
    with pytest.raises(InputError, match=words) as caught:
        make_plan(read_reference(table), PlanSettings(**({"balance": ("sex", "age_group", "finding")} | settings)))
    assert "\n" not in str(caught.value)


def test_the_summary_adds_up(table):
    plan = make_plan(read_reference(table), PlanSettings(("sex", "finding"), total=300))
    told = summary(plan)
    assert sum(cell["made"] for cell in told["cells"]) == told["samples"] == 300
    assert sum(cell["before"] for cell in told["cells"]) == 135
    for name, rows in told["marginals"].items():
        assert all(row["after"] == row["before"] + row["made"] for row in rows)
        if name != ANY_FINDING:
            assert sum(row["made"] for row in rows) == 300
    edema = next(row for row in told["marginals"][ANY_FINDING] if row["value"] == "Edema")
    assert edema["before"] == 70
    assert edema["made"] == sum("Edema" in {f.name for f in one.findings} for one in plan.requests)
    text = text_summary(told)
    assert "300 samples to make, uniform over sex, finding, counting the images there: 135 of a.csv (plain)" in text
    assert "\nF    No Finding         0" in text
