"""The projectors that ours is measured beside, by the names that the command line takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_drr_peers.itk_rtk import make_itk, make_rtk
from bench_drr_peers.leap import VIEWS_PER_CALL, make_leap
from bench_drr_peers.leap import version as leap_version
from bench_drr_peers.on_torch import make_diffdrr, make_nanodrr
from bench_drr_peers.plastimatch import plastimatch
from bench_drr_peers.plastimatch import version as plastimatch_version
from bench_drr_peers.projector import Projector, package
from bench_drr_peers.scene import SIZE, Scene, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench_drr_peers.measure import Array


def make_yardstick(scene: Scene, view: View) -> Callable[[], Array]:
    from bench_drr_peers.exact import line_integrals

    mu = scene.mu
    return lambda: line_integrals(mu, scene.affine, view.camera, (SIZE, SIZE), "box")


PEERS = {
    "plastimatch-exact": Projector("plastimatch exact", "box", plastimatch("exact"), plastimatch_version),
    "siddon": Projector("plain float64 Siddon (yardstick)", "box", make_yardstick, lambda: ""),
    "itk": Projector("ITK Siddon-Jacobs", "box", make_itk, package("itk-twoprojectionregistration")),
    "rtk": Projector("RTK Joseph", "trilinear", make_rtk, package("itk-rtk")),
    "leap": Projector(
        f"LEAP, cubic voxels, {VIEWS_PER_CALL} views a call", "trilinear", make_leap, leap_version, VIEWS_PER_CALL
    ),
    "plastimatch-uniform": Projector("plastimatch uniform", "trilinear", plastimatch("uniform"), plastimatch_version),
    "nanodrr": Projector("nanodrr, 500 samples", "trilinear", make_nanodrr, package("nanodrr")),
    "diffdrr": Projector("DiffDRR Siddon", "box", make_diffdrr, package("diffdrr")),
}
