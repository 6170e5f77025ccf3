"""Which samples to make: the joint distribution of a reference, a target for it, and a request for each sample."""

from synth.dataset.plan.allocation import InfeasibleError, allocate
from synth.dataset.plan.files import read_plan, write_plan
from synth.dataset.plan.planning import Plan, make_plan
from synth.dataset.plan.reference import Reference, read_reference
from synth.dataset.plan.settings import PlanSettings
from synth.dataset.plan.table import Table, tabulate

__all__ = [
    "InfeasibleError",
    "Plan",
    "PlanSettings",
    "Reference",
    "Table",
    "allocate",
    "make_plan",
    "read_plan",
    "read_reference",
    "tabulate",
    "write_plan",
]
