"""Two filters of the ITK family: Siddon-Jacobs, the projector that the DRR-RATE data set names, and RTK's Joseph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench_drr_peers.scene import LPS, PITCH, SDD, SID, SIZE, VIEWS, Scene, View

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench_drr_peers.measure import Array


def make_itk(scene: Scene, view: View) -> Callable[[], Array]:
    """ITK's Siddon-Jacobs interpolator: the integral comes as a fraction of the ray, so its length is multiplied in."""
    import itk

    volume = itk.image_from_array(np.ascontiguousarray(scene.mu[:, ::-1, ::-1]))
    volume.SetSpacing([float(mm) for mm in scene.spacing])
    image, d = itk.Image[itk.F, 3], itk.D
    axes, frontal = (np.stack([one.u, one.v, one.beam], 1) for one in (view, VIEWS[0]))
    turn = np.diag(LPS) @ axes @ frontal.T @ np.diag(LPS)
    transform = itk.Euler3DTransform[d].New()
    transform.SetComputeZYX(True)
    transform.SetMatrix(itk.matrix_from_array(np.ascontiguousarray(turn.T)), 1e-4)
    transform.SetCenter([float(n * mm / 2) for n, mm in zip(scene.shape[::-1], scene.spacing, strict=True)])
    caster = itk.SiddonJacobsRayCastInterpolateImageFunction[image, d].New()
    caster.SetFocalPointToIsocenterDistance(SID)
    caster.SetProjectionAngle(0.0)
    caster.SetThreshold(0.0)
    caster.SetTransform(transform)
    caster.Initialize()
    resample = itk.ResampleImageFilter[image, image].New()
    resample.SetInput(volume)
    resample.SetInterpolator(caster)
    resample.SetTransform(itk.IdentityTransform[d, 3].New())
    resample.SetSize([SIZE, SIZE, 1])
    resample.SetOutputSpacing([PITCH, PITCH, 1.0])
    resample.SetOutputOrigin([-(SIZE - 1) / 2 * PITCH, -(SIZE - 1) / 2 * PITCH, -SDD])
    length = np.linalg.norm(view.pixels - view.source, axis=-1)

    def call() -> Array:
        resample.Modified()
        resample.Update()
        return itk.array_from_image(resample.GetOutput())[0, ::-1] * length

    return call


def make_rtk(scene: Scene, view: View) -> Callable[[], Array]:
    import itk

    rtk, image = itk.RTK, itk.Image[itk.F, 3]
    volume = itk.image_from_array(scene.mu)
    volume.SetSpacing([float(mm) for mm in scene.spacing])
    volume.SetOrigin([float(mm) for mm in scene.origin])

    def triple(kind: type, values: Array) -> object:
        result = kind()
        for axis, value in enumerate(values):
            result[axis] = float(value)
        return result

    point, vector = itk.Point[itk.D, 3], itk.Vector[itk.D, 3]
    geometry = rtk.ThreeDCircularProjectionGeometry.New()
    ends = (triple(point, view.source), triple(point, view.centre))
    geometry.AddProjection(*ends, triple(vector, view.u), triple(vector, view.v))
    blank = rtk.ConstantImageSource[image].New()
    blank.SetOrigin([-(SIZE - 1) / 2 * PITCH, -(SIZE - 1) / 2 * PITCH, 0.0])
    blank.SetSpacing([PITCH, PITCH, 1.0])
    blank.SetSize([SIZE, SIZE, 1])
    blank.SetConstant(0.0)
    blank.Update()
    projector = rtk.JosephForwardProjectionImageFilter[image, image].New()
    projector.SetInput(0, blank.GetOutput())
    projector.SetInput(1, volume)
    projector.SetGeometry(geometry)
    projector.InPlaceOff()

    def call() -> Array:
        projector.Modified()
        projector.Update()
        return itk.array_from_image(projector.GetOutput())[0]

    return call
