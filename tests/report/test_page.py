"""The page as a whole: closed in itself, the same every time, bounded; and the command."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from synth.core.record import Record, Sample
from synth.dataset.writers.coco import encode_masks, write_annotations
from synth.dataset.writers.dicom_dx import write_dx
from synth.dataset.writers.png import write_png
from synth.report import items
from synth.report.page import dataset_page, write_page
from tests.end_to_end.command import in_process, tree
from tests.metrics.pages.test_page import Checked
from tests.report.datasets import (
    EVIL,
    SIDE,
    gate_json,
    picture,
    row_of,
    write_dataset,
    write_gated,
    write_manifest,
    write_table,
)


@pytest.fixture
def synth(monkeypatch, capfd):
    return in_process(monkeypatch, capfd)


def data_of(page):
    """What the page's script reads."""
    return json.loads(re.search(r'id="sheet-data">(.*?)</script>', page, re.DOTALL)[1])


class Report(Checked):
    """As pages of scores, with pictures that lie in the page."""

    def handle_starttag(self, tag, attrs):
        kept = [(name, value) for name, value in attrs if not (name == "src" and value.startswith("data:image/jpeg;"))]
        super().handle_starttag("br" if tag in ("img", "input") else tag, kept)


def test_it_is_well_formed_and_closed_in_itself(tmp_path):
    page = dataset_page(write_gated(tmp_path, 12))
    checked = Report(page)
    assert checked.seen.count("script") == 2
    assert "default-src 'none'" in page
    assert set(re.findall(r"https?://[\w./]+", page)) == {"http://www.w3.org/2000/svg"}
    assert EVIL not in page
    assert str(tmp_path) not in page


def test_the_script_gets_what_the_tables_say(tmp_path):
    data = data_of(dataset_page(write_gated(tmp_path, 12)))
    assert len(data["items"]) == 12 + 6
    first, refused = data["items"][0], data["items"][-1]
    assert first["report"] == row_of(0)["report"]
    assert first["findings"] == ["Edema: left, 2.5 cm"]
    assert first["groups"]["gate"] == ["undecided"]
    assert first["verdicts"][0] == ["outlier", "pass", "distance 1.2 is not above 3"]
    assert (refused["key"], refused["groups"]["gate"]) == ("00000005-0", ["rejected"])
    assert data["columns"] == ["sex", "age_group", "race", "view", "finding", "gate"]
    assert data["shown"] == ["findings", "devices", "lungs", "heart"]


def test_the_same_bytes_every_time(tmp_path):
    first = write_page(write_gated(tmp_path / "a", 12)).read_bytes()
    assert write_page(write_gated(tmp_path / "b", 12), tmp_path / "out" / "page.html").read_bytes() == first


def write_many(root, n):
    """A dataset of n rows over eight image files of noise, what JPEG can do least about, each with n / 8 masks."""
    names = [f"images/00/{index:08d}.png" for index in range(8)]
    for index, name in enumerate(names):
        write_png(root / name, np.random.default_rng(index).integers(0, 65536, (400, 400)).astype(np.uint16))
    rows = [row_of(index, names[index % 8]) | {"report": "word " * 60} for index in range(n)]
    write_table(root / "metadata.csv", rows)
    refused = [row | {"checks": "outlier", "reasons": f"{row['seed']} is high"} for row in rows[: n // 3]]
    write_table(root / "rejected.csv", refused)
    images = [{"id": index, "file_name": name, "width": SIDE, "height": SIDE} for index, name in enumerate(names)]
    annotations = [encode_masks(picture(index)[1], (SIDE, SIDE)) for index in range(8)]
    masks = ((1000 + index, annotations[index % 8][0]) for index in range(2 * n))  # of images that are not shown
    write_annotations(root / "masks" / "annotations.json", images, ["lung_left"], masks)
    write_manifest(root, n)


def peak_mb(root):
    """Memory that the command takes at most."""
    code = (
        "import sys; from synth.cli.main import _run; sys.argv = ['synth', 'report', sys.argv[1]]; assert _run() == 0; "
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    )
    result = subprocess.run([sys.executable, "-c", code, str(root)], capture_output=True, text=True, check=True)
    return int(result.stdout.split()[-1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="only Linux tells a process's memory")
def test_fifty_thousand_rows(tmp_path):
    for name, n in (("few", 500), ("many", 50_000)):
        write_many(tmp_path / name, n)
    few, many = (peak_mb(tmp_path / name) for name in ("few", "many"))
    assert (tmp_path / "many" / "metadata.csv").stat().st_size > 20e6
    assert many < few + 40
    page = (tmp_path / "many" / "report.html").read_bytes()
    assert len(page) < 8_000_000
    data = data_of(page.decode())
    assert b"240 of 50,000 shown, drawn so that every subgroup is seen; 48 rejected ones under gate" in page
    assert len(data["items"]) == 240 + 48
    assert data["values"]["age_group"] == [f"{k}0-{k}9" for k in range(2, 7)]


def test_outlines_keep_within_their_budget(tmp_path, monkeypatch):
    root = write_dataset(tmp_path, 12)
    monkeypatch.setattr(items, "_OUTLINES", 5000)
    drawn = {number for item in data_of(dataset_page(root))["items"] for number, _, _ in item["outlines"]}
    assert drawn == {0, 1}  # findings and devices before organs


def test_dicom_looks_as_png(tmp_path):
    root = write_dataset(tmp_path, 2)
    png = data_of(dataset_page(root))["items"]
    rows = [row_of(index, f"images/00/{index:08d}.dcm") for index in range(2)]
    for index in range(2):
        write_dx(root / rows[index]["file_name"], Sample(index, picture(index)[0], Record("PA")), uid_seed="x")
    write_table(root / "metadata.csv", rows)
    dicom = data_of(dataset_page(root))["items"]
    assert [item["image"] for item in dicom] == [item["image"] for item in png]
    assert dicom[0]["size"] == [SIDE, SIDE]


def test_the_command(synth, tmp_path):
    root = write_dataset(tmp_path / "set", 4)
    before = tree(root)
    (tmp_path / "gate.json").write_text(json.dumps(gate_json()))
    result = synth("report", root, "-o", tmp_path / "out.html", "--scores", tmp_path / "gate.json")
    assert (result.code, result.err) == (0, "")
    assert re.fullmatch(r".*out\.html: \d+ kB\n", result.out)
    assert tree(root) == before
    assert "at most 3" in (tmp_path / "out.html").read_text()
    assert synth("report", root).code == 0
    assert set(tree(root)) - set(before) == {"report.html"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{tmp}/none"], "none: no such folder"),
        (["{tmp}/empty"], "no dataset.json in it; name the folder of a finished dataset"),
        (["{tmp}/other"], "not a dataset of this toolkit"),
        (["{tmp}/bare"], "metadata.csv is missing"),
        (["{tmp}/set", "--scores", "{tmp}/none.json"], "none.json: no such file"),
        (["{tmp}/set", "-o", "{tmp}"], "is a folder; name a file"),
        (["{tmp}/gone"], "00000001.png: no such file"),
        (["{tmp}/ragged"], "line 3: more cells than the header has columns"),
        (["{tmp}/headless"], "has no column file_name"),
    ],
)
def test_bad_input_is_one_line(synth, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    for name in ("set", "gone", "ragged", "headless", "bare"):
        write_dataset(tmp_path / name, 2)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "dataset.json").write_text('{"format": "croissant"}')
    (tmp_path / "bare" / "metadata.csv").unlink()
    (tmp_path / "gone" / "images/00/00000001.png").unlink()
    (tmp_path / "ragged" / "metadata.csv").write_text("file_name,sex\na.png,F\nb.png,F,extra\n")
    (tmp_path / "headless" / "metadata.csv").write_text("name\na\n")
    before = tree(tmp_path)
    result = synth("report", *(argument.format(tmp=tmp_path) for argument in arguments))
    assert (result.code, result.out) == (2, "")
    assert result.err.count("\n") == 1
    assert said in result.err
    assert tree(tmp_path) == before
