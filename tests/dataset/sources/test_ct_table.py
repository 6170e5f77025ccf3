"""Tables of CTs: what is read of them, who fits a wish, and what is told of wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from synth.core.errors import InputError
from synth.dataset.sources.ct_table import CtTable, Person, read_ct_table

if TYPE_CHECKING:
    from pathlib import Path

ANYBODY = {"sex": None, "age": None, "race": None}


def written(folder: Path, text: str) -> Path:
    path = folder / "cts.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows(tmp_path: Path) -> None:
    path = written(tmp_path, "\ufeffct,labels,sex,age,race\na.nii.gz,a_seg.nii.gz,f,63,White\nsub/b, /maps/b.nii,M,,\n")
    found = read_ct_table(path)
    assert found.cts == (tmp_path / "a.nii.gz", tmp_path / "sub" / "b")
    assert [str(one) for one in found.labels] == [str(tmp_path / "a_seg.nii.gz"), "/maps/b.nii"]
    assert found.people == (Person("F", 63.0, "White"), Person("M", None, ""))


def test_nobody_is_known(tmp_path: Path) -> None:
    assert read_ct_table(written(tmp_path, "ct\na\n")) == CtTable((tmp_path / "a",), (), ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ct,gender\na,F\n", "unknown key 'gender'; did you mean"),
        ("sex\nF\n", "row 1 names no CT in its column ct"),
        ("ct,sex\na,F\n,M\n", "row 2 names no CT in its column ct"),
        ("ct\n", "no row; give a CT in each"),
        ("", "no row; give a CT in each"),
        ("ct,labels\na,b\nc,\n", "row 2 has no label map; give one in all rows or in none"),
        ("ct,sex\na,male\n", "row 1: sex must be F, M or empty, got 'male'"),
        ("ct,age\na,old\n", "row 1: age must be years or empty, got 'old'"),
        ("ct,age\na,nan\n", "row 1: age must be years or empty, got 'nan'"),
        ('ct\n"a\n', "not a CSV table"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(InputError) as refused:
        read_ct_table(path)
    assert str(refused.value).startswith(f"{path}: {said.removesuffix(' did you mean')}")
    assert "\n" not in str(refused.value)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cts\.csv: cannot read \(No such file or directory\)"):
        read_ct_table(tmp_path / "cts.csv")


def test_who_fits() -> None:
    person, unknown = Person("F", 63.0, "White"), Person()
    assert person.fits(**ANYBODY, within=0)
    assert unknown.fits(**ANYBODY, within=0)
    for wish, fits in [
        ({"sex": "F"}, True),
        ({"sex": "M"}, False),
        ({"age": 60.0}, True),
        ({"age": 57.0}, False),
        ({"race": "white"}, True),
        ({"race": "Asian"}, False),
        ({"sex": "F", "age": 70.0}, False),
    ]:
        assert person.fits(**(ANYBODY | wish), within=5.0) == fits  # type: ignore[arg-type]
        assert not unknown.fits(**(ANYBODY | wish), within=5.0)  # type: ignore[arg-type]
