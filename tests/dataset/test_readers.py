"""Datasets as their users' tools read them: no reader of ours, and no network."""

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pydicom
import pytest
import SimpleITK
from pycocotools.coco import COCO

from synth.core.record import Finding, Mask, Record, Sample, ScanSample
from synth.core.seeds import sample_generator
from synth.core.volume import Labels, Volume
from synth.dataset.folder import DatasetFolder, Shards
from synth.dataset.judged import Judged, Refusal
from synth.metrics.verdicts import Verdict

N = 7
REPORT = 'Says "pleural effusion",\nund dann: Ende – 胸\n'
AFFINE = np.array([[0.7, 0, 0, -30.0], [0, 0.8, 0, 12.5], [0, 0, 1.25, -100.0], [0, 0, 0, 1]])
VERDICTS = (Verdict("copy", 0.25, 0.1, "pass", "far from all"), Verdict("anatomy", None, None, "undecided", "no mask"))


def radiograph(index: int) -> Sample:
    """A pure function of its index; every second has findings, a report, and a geometry of its own."""
    image = sample_generator(7, index).integers(0, 65536, (24, 20), dtype=np.uint16)
    record = Record("PA", "F", 63.0, source="phantom", seed=7)
    if index % 2:
        findings = (Finding("Pleural Effusion", "left", size_cm=2.5), Finding("Edema"))
        record = Record("LATERAL", "M", 40.5, findings=findings, report=REPORT, source="phantom", seed=7)
    masks = (Mask("heart", image > 30000), Mask("nodule", image > 90000 - 30000 * (index % 2)))
    geometry = {"kvp": 120.0} | ({"tilt_deg": 1.5} if index % 2 else {})
    return Sample(index, image, record, masks, (0.3, 0.4), geometry, {"line_integral": image[:2] / np.float32(9)})


def judged(index: int) -> Judged:
    refused = Verdict("artefact", 3.0, 1.0, "fail", "a border, says the check")
    refusal = Refusal(0, index, radiograph(index).record, (refused,), radiograph(index))
    return Judged(index, str(index), radiograph(index), index % 2, VERDICTS, (refusal,) if index % 2 else ())


def scan(index: int) -> ScanSample:
    hu = sample_generator(8, index).integers(-1000, 1500, (4, 6, 8)).astype(np.int16)
    labels = Labels((hu > 0).astype(np.uint8) + (hu > 900), AFFINE, {1: "heart", 2: "rib_left_3"})
    return ScanSample(index, Volume(hu, AFFINE), {"total": labels}, Record("CT", "F", 63.0, source="phantom"))


def made(root: Path, samples: list[Sample | ScanSample | Judged], **options: object) -> Path:
    folder = DatasetFolder.open(root, {"seed": 7}, n_samples=len(samples), resume=False, **options)  # type: ignore[arg-type]
    for sample in samples:
        folder.write(sample)
    folder.finish()
    return root


@pytest.fixture(scope="module")
def png(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Loose files, with refused images kept."""
    return made(tmp_path_factory.mktemp("png") / "data", [judged(n) for n in range(N)])


@pytest.fixture(scope="module")
def dicom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = [radiograph(n) for n in range(2)]
    return made(tmp_path_factory.mktemp("dicom") / "data", samples, image_format="dicom", segmentations=True)


@pytest.fixture(scope="module")
def nifti(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("nifti") / "data", [scan(n) for n in range(2)], image_format="nifti")


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = [scan(n) for n in range(2)]
    return made(tmp_path_factory.mktemp("series") / "data", samples, image_format="dicom", medium="volume")


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = [judged(n) for n in range(N)]
    return made(tmp_path_factory.mktemp("tars") / "data", samples, shards=Shards("webdataset", 4))


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples = [judged(n) for n in range(N)]
    return made(tmp_path_factory.mktemp("tables") / "data", samples, shards=Shards("parquet", 4))


def needs(library: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(find_spec(library) is None, reason=f"{library} is not installed")


def elsewhere(code: str, cache: Path, **roots: Path) -> list[object]:
    """What a script prints, line by line, as JSON: these libraries read their settings when they are imported."""
    settings = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    head = "".join(f"{name} = {str(root)!r}\n" for name, root in roots.items())
    head = f"import json, numpy as np\n{head}"
    done = subprocess.run(
        [sys.executable, "-c", head + code], env=os.environ | settings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_rows(rows: list[object]) -> None:
    """[image, report, age, seed] of every sample."""
    assert len(rows) == N
    for index, (image, report, age, seed) in enumerate(rows):  # type: ignore[misc]
        expected = radiograph(index)
        np.testing.assert_array_equal(image, expected.image)
        assert (report or "", age, seed) == (expected.record.report, expected.record.age, 7)


WHAT = '[np.array(row["image"]).tolist(), row["report"], row["age"], row["seed"]]'
HUGGING_FACE = f"""
import datasets
datasets.disable_progress_bars()
data = datasets.load_dataset({{how}})["train"]
for row in data:
    print(json.dumps({WHAT}))
"""


@needs("datasets")
def test_hugging_face_reads_the_folder(png: Path, tmp_path: Path) -> None:
    rows = elsewhere(HUGGING_FACE.format(how='"imagefolder", data_dir=root'), tmp_path, root=png)
    check_rows(rows)


@needs("datasets")
def test_hugging_face_reads_parquet_shards(tables: Path, tmp_path: Path) -> None:
    assert sorted(path.name for path in (tables / "shards").iterdir()) == ["00000.parquet", "00001.parquet"]
    how = '"parquet", data_files=root + "/shards/*.parquet"'
    nested = 'print(json.dumps([data[1]["findings"], data[1]["verdicts"], data[1]["objects"][0]["category"]]))'
    *rows, said = elsewhere(HUGGING_FACE.format(how=how) + nested, tmp_path, root=tables)
    check_rows(rows)
    findings, verdicts, category = said  # type: ignore[misc]
    assert [one["name"] for one in findings] == ["Pleural Effusion", "Edema"]
    assert verdicts == [one.as_dict() for one in VERDICTS]
    assert category == "heart"


@needs("datasets")
def test_hugging_face_reads_webdataset_shards(tars: Path, tmp_path: Path) -> None:
    how = '"webdataset", data_files=root + "/shards/*.tar"'
    row = '[np.array(row["png"]).tolist(), *(row["json"][key] for key in ("report", "age", "seed"))]'
    code = HUGGING_FACE.format(how=how).replace(WHAT, row)
    check_rows(elsewhere(code, tmp_path, root=tars))


@needs("datasets")
def test_hugging_face_needs_features_where_the_first_samples_lack_what_later_ones_have(tmp_path: Path) -> None:
    plain = [replace(radiograph(n), record=Record("PA"), geometry={}, arrays={}) for n in range(6)]
    made(tmp_path / "data", [*plain, replace(radiograph(6), record=radiograph(1).record)], shards=Shards("webdataset"))
    features = 'datasets.Features({"json": datasets.Json(), "png": datasets.Image()})'
    how = f'"webdataset", data_files=root + "/shards/*.tar", features={features}'
    code = HUGGING_FACE.format(how=how).replace(WHAT, '[row["json"]["age"], row["json"]["findings"]]')
    *_, before, last = elsewhere(code, tmp_path / "cache", root=tmp_path / "data")
    assert before == [None, []]
    assert last == [40.5, [{"name": "Pleural Effusion", "laterality": "left", "size_cm": 2.5}, {"name": "Edema"}]]


def test_pandas_reads_the_tables(png: Path, tables: Path) -> None:
    for table in (pd.read_csv(png / "metadata.csv"), pd.read_csv(tables / "metadata.csv")):
        assert table.report.fillna("").tolist() == [radiograph(n).record.report for n in range(N)]
        assert table.age.tolist() == [radiograph(n).record.age for n in range(N)]
        assert json.loads(table.findings[1])[0]["laterality"] == "left"
    refused = pd.read_csv(png / "rejected.csv")
    assert refused["index"].tolist() == [1, 3, 5]
    assert refused.reasons.tolist() == ["a border, says the check"] * 3


@needs("pyarrow")
def test_pandas_reads_parquet_shards(tables: Path) -> None:
    table = pd.concat(pd.read_parquet(path) for path in sorted((tables / "shards").iterdir()))
    assert table.age.tolist() == [radiograph(n).record.age for n in range(N)]
    assert table.seed.tolist() == [7] * N
    assert [len(cell) for cell in table.objects] == [1, 2] * 3 + [1]


WEBDATASET = """
import io, webdataset
from PIL import Image
paths = [f"{root}/shards/{n:05d}.tar" for n in range(2)]
shards = webdataset.WebDataset(paths, shardshuffle=False, empty_check=False)
for one in shards.decode(webdataset.handle_extension("png", lambda data: Image.open(io.BytesIO(data)))):
    said = one["json"]
    print(json.dumps([np.array(one["png"]).tolist(), said["report"], said["age"], said["seed"]]))
    last = [one["__key__"], sorted(one["npz"]), said["annotations"][0]["category"], said["synthetic"]]
print(json.dumps(last))
"""


@needs("webdataset")
def test_webdataset_reads_its_shards(tars: Path, tmp_path: Path) -> None:
    *rows, last = elsewhere(WEBDATASET, tmp_path, root=tars)
    check_rows(rows)
    assert last == [f"{N - 1:08d}", ["line_integral"], "heart", True]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools with NumPy 2
def test_pycocotools_reads_the_masks(png: Path) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(png / "masks" / "annotations.json"))
    assert sorted(one["name"] for one in coco.cats.values()) == ["heart", "nodule"]
    for number, image in coco.imgs.items():
        assert (png / image["file_name"]).is_file()
        expected = {mask.name: mask.array for mask in radiograph(number).masks if mask.array.any()}
        found = {coco.cats[one["category_id"]]["name"]: coco.annToMask(one) for one in coco.imgToAnns[number]}
        assert found.keys() == expected.keys()
        for name, mask in found.items():
            np.testing.assert_array_equal(mask, expected[name])


MONAI = """
from monai.transforms import LoadImage
image = LoadImage(image_only=True, reverse_indexing=False, dtype=np.uint16)(f"{images}/images/00/00000001.png")
print(json.dumps(np.asarray(image).tolist()))
for name in ("volumes/00/00000001.nii.gz", "masks/00/00000001_total.nii.gz"):
    image = LoadImage(image_only=True)(f"{volumes}/{name}")
    print(json.dumps([np.asarray(image).astype(int).tolist(), np.asarray(image.affine).tolist()]))
"""
RAS = np.diag([-1, -1, 1, 1]) @ AFFINE


@needs("monai")
def test_monai_loads_images_volumes_and_maps(png: Path, nifti: Path, tmp_path: Path) -> None:
    image, *volumes = elsewhere(MONAI, tmp_path, images=png, volumes=nifti)
    np.testing.assert_array_equal(image, radiograph(1).image)
    expected = (scan(1).volume.hu, scan(1).maps["total"].array)
    for (found, affine), array in zip(volumes, expected, strict=True):  # type: ignore[misc]
        np.testing.assert_array_equal(found, array.T)  # (x, y, z)
        np.testing.assert_allclose(affine, RAS, atol=1e-5)


def test_nibabel_reads_volumes(nifti: Path) -> None:
    table = pd.read_csv(nifti / "metadata.csv")
    for index, name in enumerate(table.file_name):
        image = nibabel.load(nifti / name)
        np.testing.assert_array_equal(np.asarray(image.dataobj), scan(index).volume.hu.T)
        np.testing.assert_allclose(image.affine, RAS, atol=1e-5)


def test_simpleitk_reads_everything(png: Path, dicom: Path, nifti: Path, series: Path) -> None:
    def read(path: Path) -> np.ndarray:
        return SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))

    np.testing.assert_array_equal(read(png / "images/00/00000001.png"), radiograph(1).image)
    np.testing.assert_array_equal(read(dicom / "images/00/00000001.dcm")[0], radiograph(1).image)
    np.testing.assert_array_equal(read(nifti / "volumes/00/00000001.nii.gz"), scan(1).volume.hu)
    np.testing.assert_array_equal(read(nifti / "masks/00/00000001_total.nii.gz"), scan(1).maps["total"].array)
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(series / "volumes/00/00000001"))
    stack = SimpleITK.ReadImage(names)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(stack), scan(1).volume.hu)
    np.testing.assert_allclose(stack.GetSpacing(), (0.7, 0.8, 1.25))
    np.testing.assert_allclose(stack.GetOrigin(), AFFINE[:3, 3])


def test_pydicom_reads_images_and_their_masks(dicom: Path, series: Path) -> None:
    for index in range(2):
        image = pydicom.dcmread(dicom / f"images/00/{index:08d}.dcm")
        np.testing.assert_array_equal(image.pixel_array, radiograph(index).image)
        masks = pydicom.dcmread(dicom / f"masks/00/{index:08d}.dcm")
        assert masks.ReferencedSeriesSequence[0].SeriesInstanceUID == image.SeriesInstanceUID
        expected = [mask.array for mask in radiograph(index).masks if mask.array.any()]
        np.testing.assert_array_equal(masks.pixel_array.reshape(-1, 24, 20), expected)
    first, maps = (series / "volumes/00/00000001/0001.dcm", series / "masks/00/00000001_total.dcm")
    assert pydicom.dcmread(maps).FrameOfReferenceUID == pydicom.dcmread(first).FrameOfReferenceUID
