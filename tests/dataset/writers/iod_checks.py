"""What the standard demands of a DICOM object, from the tables of PS3.3 that highdicom carries."""

from __future__ import annotations

import json
import pkgutil
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydicom.dataset import Dataset


def table(name: str) -> dict[str, list[dict[str, Any]]]:
    pytest.importorskip("highdicom", reason="the tables of PS3.3 come with highdicom")
    data = pkgutil.get_data("highdicom", f"_standard/{name}.json")
    assert data is not None
    return json.loads(data)


def complaints(ds: Dataset, iod: str) -> Iterator[str]:
    """Attributes of the top level that an object lacks, leaves empty, or should not have."""
    modules, attributes = table("iod_module_map")[iod], table("module_attribute_map")
    known = set()
    for module in modules:
        for one in attributes[module["key"]]:
            keyword = one["keyword"]
            known.update((keyword, *one["path"][:1]))
            if module["usage"] != "M" or one["path"] or one["type"] not in ("1", "2"):
                continue
            if keyword not in ds:
                yield f"{module['key']}: no {keyword}"
            elif one["type"] == "1" and ds[keyword].is_empty:
                yield f"{module['key']}: {keyword} is empty"
    for element in ds:
        if element.keyword not in known:
            yield f"{element.keyword} does not belong in {iod}"
