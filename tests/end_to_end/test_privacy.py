"""No tag of a patient, no path and no name of file or user reaches a dataset; every image says that it is synthetic.

Everything that could leak carries a canary: the tags of a DICOM series, public and private; the names of all files and
folders; user, home and temporary folder. Every byte of every dataset is searched for them, also inside gzip, tar, npz,
PNG and Parquet, and in the pictures that a page embeds.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import shutil
import tarfile
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pydicom
import pytest
from pyarrow import parquet

from synth.dataset.writers.png import PNG_MARK, read_png, write_png
from tests.core.image_files import ct_dataset, save
from tests.end_to_end import scene
from tests.end_to_end.command import Result, finished, start

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CANARY = "Zwetschgenmus"
DATE, TIME = "19010203", "030201.123"
UIDS = {what: f"1.2.826.0.1.3680043.8.498.{n + 1}31415926535" for n, what in enumerate(("Study", "Frame", "Of"))}
SEARCHED = [CANARY.lower().encode(), DATE.encode(), b"1901-02-03", TIME.encode(), b"31415926535"]
PLAN = 'id,findings,seed\none,,1\ntwo,[],2\nthree,"[{""name"": ""Support Devices"", ""kind"": ""sternal wires""}]",3\n'


def name(what: str) -> str:
    return f"{CANARY}_{what}"


def series(folder: Path) -> Path:
    """A chest as DICOM slices that tell all that they can of a patient."""
    folder.mkdir(parents=True)
    uid = f"{UIDS['Of']}.1"
    for k, plane in enumerate(scene.hu()):
        data = ct_dataset(plane, scene.affine(), k, uid)
        for tag in (
            "PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientComments", "InstitutionName",
            "InstitutionAddress", "ReferringPhysicianName", "OperatorsName", "StationName", "AccessionNumber",
            "StudyID", "StudyDescription", "SeriesDescription", "ProtocolName", "ImageComments", "Manufacturer",
            "DeviceSerialNumber", "EthnicGroup", "Occupation",
        ):  # fmt: skip
            setattr(data, tag, CANARY)
        for tag in ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
            setattr(data, tag, DATE)
        for tag in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
            setattr(data, tag, TIME)
        data.StudyInstanceUID, data.FrameOfReferenceUID = UIDS["Study"], UIDS["Frame"]
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = f"{UIDS['Of']}.2.{k}"
        data.PatientAge, data.PatientSex = "077Y", "O"
        data.private_block(0x0099, CANARY, create=True).add_new(1, "LO", CANARY)
        save(folder / f"{CANARY}{k:03d}.dcm", data)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of one's own with CTs, label maps, tables, a plan and a reference."""
    root = tmp_path_factory.mktemp("home") / name("home")
    series(root / name("scans") / name("series"))
    scene.write_ct(root / name("scans") / f"{name('ct')}.nii.gz", seed=1)
    scene.write_labels(root / f"{name('map')}.nii.gz")
    rows = [
        f"{name('scans')}/{name('series')},{name('map')}.nii.gz",
        f"{name('scans')}/{name('ct')}.nii.gz,{name('map')}.nii.gz",
    ]
    (root / f"{name('cts')}.csv").write_text("\n".join(["ct,labels", *rows, ""]))
    (root / f"{name('plan')}.csv").write_text(PLAN)
    (root / f"{name('people')}.csv").write_text("finding,sex,age\nNo Finding,F,60\n")
    generator = np.random.default_rng(0)
    for number in range(24):
        image = generator.integers(0, 65536, (48, 48)).astype(np.uint16)
        write_png(root / name("real") / f"{CANARY}{number}.png", image)
    (root / f"{name('recipe')}.yaml").write_text(
        f"seed: 1\nsource: {{kind: drr, table: {name('cts')}.csv, label_names: names.json, poses: 1, raw: true}}\n"
        f"plan: {name('plan')}.csv\nviews: [pa]\nsize: 48\nmasks: all\n"
        f"gate:\n  reference: {name('real')}\n  training: {name('real')}\n  attempts: 2\n  keep_rejected: true\n"
        "  policy: {samples: {outlier: 0, artefacts: 0.2}, scores: null, report: [kid]}\n"
    )
    return root


def made(home: Path, root: Path, *changes: str) -> Path:
    """The dataset of the recipe, in the surroundings of somebody."""
    temporary = home / name("tmp")
    temporary.mkdir(exist_ok=True)
    surroundings = {
        "HOME": str(home), "USER": name("user"), "LOGNAME": name("user"), "USERNAME": name("user"),
        "HOSTNAME": name("host"), "TMPDIR": str(temporary), "HF_HOME": str(home),
    }  # fmt: skip
    words = [word for change in changes for word in ("--set", change)]
    result: Result = finished(start("dataset", home / f"{name('recipe')}.yaml", "-o", root, *words, **surroundings))
    assert result.code in (0, 1), result.err
    return root


def contents(data: bytes) -> Iterator[bytes]:
    """The bytes, and those packed into them."""
    yield data
    if data[:2] == b"\x1f\x8b":
        yield from contents(gzip.decompress(data))
    elif data[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            for one in packed.infolist():
                yield one.filename.encode()
                yield from contents(packed.read(one))
    elif data[:4] == b"PAR1":
        yield from of_parquet(data)
    elif data[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(data)) as packed_tar:
            for member in packed_tar:
                yield f"{member.name} {member.uname} {member.gname} {member.linkname} {member.pax_headers}".encode()
                stream = packed_tar.extractfile(member)
                yield from contents(stream.read() if stream else b"")
    elif data[:8] == b"\x89PNG\r\n\x1a\n":
        for chunk in re.findall(rb"(?:zTXt|iTXt|eXIf|iCCP).{12}", data, re.DOTALL):
            raise AssertionError(f"a chunk that this test does not read: {chunk!r}")
    for found in re.findall(rb"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)", data):
        yield from contents(base64.b64decode(found))


def of_parquet(data: bytes) -> Iterator[bytes]:
    table = parquet.read_table(io.BytesIO(data))
    yield repr(table.schema.metadata).encode()
    for row in table.to_pylist():
        yield json.dumps(row, default=repr).encode()
        yield from contents(row["image"]["bytes"])


def assert_tells_nothing(root: Path) -> None:
    for path in sorted(root.rglob("*")):
        parts = [str(path.relative_to(root)).encode(), *(contents(path.read_bytes()) if path.is_file() else ())]
        for part in parts:
            found = [one for one in SEARCHED if one in part.lower()]
            assert not found, f"{path.relative_to(root)} tells {found}"


def test_the_search_finds_what_is_packed(tmp_path: Path) -> None:
    """The test of the test: a canary in each kind of file is found."""
    secret = tmp_path / "secret"
    secret.write_text(f"of {CANARY.upper()}")
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        packed.add(secret, "secret.gz")
    np.savez_compressed(tmp_path / "a.npz", names=np.array([CANARY.encode()]))
    (tmp_path / "a.gz").write_bytes(gzip.compress(gzip.compress(CANARY.encode())))
    page = base64.b64encode(gzip.compress(DATE.encode())).decode()
    (tmp_path / "a.html").write_text(f'<img src="data:image/png;base64,{page}">')
    secret.unlink()
    for path in sorted(tmp_path.iterdir()):
        only = tmp_path.parent / f"{tmp_path.name}_{path.suffix[1:]}"
        only.mkdir()
        shutil.move(path, only / path.name)
        with pytest.raises(AssertionError, match="tells"):
            assert_tells_nothing(only)


def test_png(home: Path, tmp_path: Path) -> None:
    root = made(home, tmp_path / "out")
    assert_tells_nothing(root)
    assert {"plan.csv", "gate.json", "rejected.csv", "report.html", "raw", "masks"} <= {p.name for p in root.iterdir()}
    assert "sternal wires: needs the label" in (root / "rejected.csv").read_text()
    assert_marked(root)
    images = [*root.glob("images/*/*.png"), *root.glob("rejected/*/*.png")]
    assert images
    assert all(read_png(path)[1] == dict(PNG_MARK) for path in images)


def test_dicom(home: Path, tmp_path: Path) -> None:
    root = made(home, tmp_path / "out", "gate=null", "format=dicom", "segmentations=true")
    assert_tells_nothing(root)
    assert_marked(root)
    objects = [pydicom.dcmread(path) for path in (*root.glob("images/*/*.dcm"), *root.glob("masks/*/*.dcm"))]
    assert len(objects) >= 4
    for one in objects:
        assert str(one.PatientName).startswith("SYNTHETIC^")
        assert one.PatientID.startswith("SYNTHETIC-")
        assert one.PatientBirthDate == ""
        assert not [element for element in one if element.tag.is_private]


@pytest.mark.parametrize("kind", ["webdataset", "parquet"])
def test_shards(home: Path, tmp_path: Path, kind: str) -> None:
    root = made(home, tmp_path / "out", "gate=null", f"shards={{kind: {kind}, size: 2}}")
    assert_tells_nothing(root)
    assert_marked(root)
    (shard, *_) = sorted((root / "shards").iterdir())
    parts = b"".join(contents(shard.read_bytes()))
    assert b"Synthetic image, not acquired from a patient" in parts
    assert b'"synthetic":true' in parts or b"b'synthetic': b'YES'" in parts


def test_cts(home: Path, tmp_path: Path) -> None:
    people = f"source={{kind: phantom-ct, population: {name('people')}.csv, voxel_mm: 5, voxels: [80, 64, 40]}}"
    changes = ("plan=null", "cases=1", "views=null", "size=null", "gate=null", people)
    for number, kind in enumerate(("nifti", "dicom")):
        root = made(home, tmp_path / f"out{number}", *changes, f"format={kind}")
        assert_tells_nothing(root)
        assert_marked(root)
    slices = [pydicom.dcmread(path) for path in (tmp_path / "out1").rglob("*.dcm")]
    assert len(slices) > 40
    assert all(str(one.PatientName).startswith("SYNTHETIC^") for one in slices)


def assert_marked(root: Path) -> None:
    content: Mapping[str, object] = json.loads((root / "dataset.json").read_bytes())
    assert content["synthetic"] is True
    assert "ynthetic" in (root / "report.html").read_text()
