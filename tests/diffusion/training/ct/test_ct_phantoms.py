"""The trees of phantoms as training sees them, from the files that a dataset of phantoms has anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from synth.dataset.patients.phantoms import Phantoms
from synth.dataset.phantom_scans import PhantomJob
from synth.diffusion.ct.channels import MASKS
from synth.diffusion.training.ct.files import CtSource
from synth.diffusion.training.ct.reading import Grid, read_example
from synth.diffusion.training.ct.volumes import halved

if TYPE_CHECKING:
    from pathlib import Path

FULL = np.ones((3, 3, 3))
EDGE = 3.0


def test_airways_hang_together_and_trees_have_their_share_of_the_lungs(tmp_path: Path) -> None:
    """Parenchyma is nine tenths of the lung, all vessels and conducting airways one (Weibel 1963, Morphometry of the
    Human Lung); most of the tenth is narrower than the voxels here."""
    list(PhantomJob(Phantoms(1, 3, spacing_mm=EDGE, findings=())).run(tmp_path / "set", resume=False))
    examples = CtSource(path=str(tmp_path / "set")).open()
    hu, masks, known = read_example(examples.volumes[0], examples.maps[0], Grid((128,) * 3, (EDGE,) * 3))
    assert set(np.array(MASKS)[~known]) == {"finding"}
    for level in (masks, halved(hu, masks)[1]):
        shown = dict(zip(MASKS, level, strict=True))
        lobes = np.any([mask for name, mask in shown.items() if "lobe" in name], axis=0)
        airways, vessels = shown["lung_airways"], shown["lung_vessels"]
        marks, _ = ndimage.label(airways, FULL)
        tree = marks == np.bincount(marks[airways]).argmax()
        assert tree.sum() > 0.8 * airways.sum()
        heights = np.flatnonzero(tree.any((1, 2)))
        assert heights[-1] > np.flatnonzero(lobes.any((1, 2)))[-1]  # the windpipe comes from above the lungs
        assert (ndimage.binary_dilation(tree, FULL) & lobes).any()
        share = (vessels.sum() + (airways & lobes).sum()) / (lobes | vessels).sum()
        assert 0.01 < share < 0.08
        box = ndimage.find_objects(lobes.astype(np.uint8))[0]
        assert vessels[box].sum() == vessels.sum()
        assert hu[masks[MASKS.index("lung_vessels")]].mean() > -400
