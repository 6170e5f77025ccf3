"""The tables, as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_drr_peers.tables import table

from synth.metrics.scoring.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .order import Order
    from .people import People
    from .run import Run

__all__ = ["report"]

ARROWS = {"lower": "↓", "higher": "↑", "alike": "="}


def report(result: Run, people: People) -> str:
    """Who the sets are of, what rises from where on, and all values."""
    return "\n\n".join([_people(people), "### What rises in order", _orders(result), "### Values", _values(result)])


def _people(people: People) -> str:
    n = len(people.reference)
    return (
        f"A, the reference, and B: {n} adults each of {people.source}, one image a patient, no patient in both; "
        f"{people.reference.shape[1]} pixels square. "
        f"{len(people.women)} of B are women. To replace them: {len(people.men)} further images of men, "
        f"{len(people.children)} of children, {len(people.elsewhere)} of adults of other collections."
    )


def _orders(result: Run) -> str:
    head = ["metric", *(one.name for one in result.corruptions)]
    lines = [
        [
            f"{name} {ARROWS[METRICS[name].better]}",
            *(_cell(order, one.labels) for order, one in zip(orders, result.corruptions, strict=True)),
        ]
        for name, orders in result.orders.items()
    ]
    every = [order for orders in result.orders.values() for order in orders]
    rises, unseen = sum(order.rises for order in every), sum(order.first is None for order in every)
    counted = f"{rises} of {len(every)} rise in order, {len(every) - rises - unseen} out of order, {unseen} unseen."
    return f"{table(head, lines)}\n{counted}"


def _cell(order: Order, labels: Sequence[str]) -> str:
    rho = "" if order.rho > 0.999 else f" ({order.rho:.2g})"
    if order.first is None:
        return f"{'better' if order.better else '–'}{rho}"
    return f"{'' if order.kept else '✗ '}{labels[order.first - 1]}{rho}"


def _values(result: Run) -> str:
    names = list(result.real[0])
    real = {name: sorted(scores[name].value for scores in result.real) for name in names}
    lines = [
        ["real halves, least", *(_number(real[name][0]) for name in names)],
        ["real halves, most", *(_number(real[name][-1]) for name in names)],
    ]
    lines.append(["unchanged", *(_number(result.traces[0][0][name].value) for name in names)])
    for one, trace in zip(result.corruptions, result.traces, strict=True):
        for label, scores in zip(one.labels, trace[1:], strict=True):
            lines.append([f"{one.name}, {label}", *(_number(scores[name].value) for name in names)])
    return table(["set", *names], lines)


def _number(value: float) -> str:
    """Three digits, no exponent."""
    return (
        f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else f"{value:.4f}"
    )
