"""What radiographs of phantoms and of CTs share: one patient a request, and the request's view."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from synth.core.errors import InputError
from synth.drr.views import parse_view

if TYPE_CHECKING:
    from synth.core.record import Sample
    from synth.dataset.patients.subject import Subjects
    from synth.dataset.radiographs.job import DrrJob
    from synth.dataset.request import Request
    from synth.dataset.source import Warn

__all__ = ["radiographs", "refuse_view", "shared_recipe"]

_OF_A_RUN = ("command", "seed", "phantoms")


def radiographs(template: DrrJob, subjects: Subjects, request: Request, warn: Warn) -> list[Sample]:
    """The samples of one request, all views of its one patient.

    Args:
        template: How they are taken.
        subjects: The patient.
        request: Its view takes the place of the template's, its seed that of the template's.
        warn: Called with what a reader mended or doubts.

    Raises:
        InputError: As `DrrJob.samples`.
    """
    views = template.views if request.view is None else (request.view,) * len(template.views)
    job = replace(template, subjects=subjects, views=views, seed=request.seed)
    first, each = request.number * job.samples_each, job.samples_each
    made = sorted(job.samples(range(each), warn=warn), key=lambda sample: sample.index)
    return [replace(sample, index=first + sample.index) for sample in made]


def refuse_view(template: DrrJob, request: Request) -> None:
    """Refuses a request for a view that cannot be taken, or for one where each case has several.

    Raises:
        InputError: As said.
    """
    if request.view is None:
        return
    parse_view(request.view)
    if len(template.views) > 1:
        named = ", ".join(template.views)
        raise InputError(
            f"case {request.name}: asks for view {request.view}, and each case has the views {named}; give one view, "
            "or leave the plan's column view empty"
        )


def shared_recipe(template: DrrJob, subjects: Subjects) -> dict[str, Any]:
    """What `DrrJob.recipe` says of these patients, without what each request has of its own."""
    plain = replace(template, subjects=subjects).recipe()
    return {key: value for key, value in plain.items() if key not in _OF_A_RUN}
