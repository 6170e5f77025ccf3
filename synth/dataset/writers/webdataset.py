"""WebDataset shards: a tar file in which the files of one sample share a key and follow each other.

    00000042.json   the sample's row with types, "annotations" (its masks as COCO run lengths), "synthetic": true
    00000042.png    the image, or .dcm; of a CT .nii.gz and …total.nii.gz for every label map
    00000042.npz    extra arrays

Pictures have 16 bits, which the word "pil" of `webdataset`'s decode does not keep: decode "png" with a function of your
own (`PIL.Image.open(io.BytesIO(data))`). Hugging Face's `datasets` reads these shards, too; it guesses types from the
first five samples, so where these lack what later ones have, pass
`features=Features({"json": Json(), "png": Image()})`.
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

from synth.core.files import atomic_path
from synth.dataset.writers.shard import in_order, objects_of, typed_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from synth.dataset.writers.shard import Entry

__all__ = ["write_tar"]


def write_tar(path: Path, entries: Iterable[Entry]) -> None:
    """Writes a shard, atomically and an entry at a time; its bytes depend on the entries alone.

    Args:
        path: Where to; its folder is made where missing.
        entries: In ascending order of their keys.

    Raises:
        InputError: Keys out of order, a cell that is not what its column holds, or the file cannot be written.
    """
    with atomic_path(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as archive:
        for entry in in_order(entries):
            for suffix, content in _members(entry):
                # A TarInfo says nobody's, of 1970, 0644 by itself.
                member = tarfile.TarInfo(f"{entry.key}.{suffix}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def _members(entry: Entry) -> Iterator[tuple[str, bytes]]:
    for suffix in sorted({*entry.files, "json"}):
        yield suffix, _json(entry) if suffix == "json" else entry.files[suffix]


def _json(entry: Entry) -> bytes:
    said = typed_row(entry) | {"annotations": objects_of(entry), "synthetic": True}
    return json.dumps(said, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
