"""What the network can tell of the test bodies, as Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from bench_drr_peers.tables import table

from phantom_classifier.design import AGE_GROUPS, CLASSES, SIDED
from phantom_classifier.network import new_network
from phantom_classifier.scoring import Area, area_with_interval, elsewhere, restored, widened
from phantom_classifier.training import predict, truth
from synth.core.seeds import sample_generator

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from phantom_classifier.films import Films
    from synth.metrics.readers.network import Network

    Scores = dict[str, NDArray[np.float64]]

_ENOUGH = 2
"""Positives from which an area is given."""


def report(folder: Path, films: Films, *, threads: int, bootstraps: int) -> str:
    """The section: how it was made, persons, findings, kinds.

    Raises:
        ValueError: The network has not been trained.
    """
    torch.set_num_threads(threads)
    path = folder / "network.pt"
    if not path.exists():
        raise ValueError(f"{path} is not there: run train first")
    saved = torch.load(path, weights_only=True)
    network = new_network()
    network.load_state_dict(saved["weights"])
    test = _Test(network, films, bootstraps)
    recipe = json.loads((folder / "recipe.json").read_text())
    return "\n\n".join(
        (
            _introduction(films, recipe, saved),
            f"### Persons\n\n{_persons(test)}",
            f"### Findings\n\n{_findings(test)}",
            _reading_the_table(test),
            f"### Kinds of a class\n\n{_kinds(test)}",
        )
    )


class _Test:
    """Test films, what there is to tell of them, and what the network says; also of films with a region restored.

    Attributes:
        rows: What is known of each film.
        body: (n,) number of its body.
        scores: Of the films as they are.
        right: What there is to tell.
        single: (n,) bool, films with one finding.
        none: (n,) bool, films of healthy bodies.
        changed: "region", "elsewhere", "whole" → scores of the films with one finding, in which that is as in health;
            NaN of all others.
    """

    def __init__(self, network: Network, films: Films, bootstraps: int) -> None:
        chosen = films.of("test")
        self.bootstraps = bootstraps
        self.rows = [films.rows[n] for n in chosen]
        self.body = np.array([row["body"] for row in self.rows])
        self.scores, self.right = predict(network, films.images[chosen]), truth(films, chosen)
        self.single = np.array([len(row["findings"]) == 1 for row in self.rows])
        self.none = np.array([row["role"] == "healthy" for row in self.rows])
        twins = {row["body"]: films.images[n] for n, row in enumerate(films.rows) if row["role"] == "twin"}
        pictures: dict[str, list[NDArray[np.uint8]]] = {"region": [], "elsewhere": [], "whole": []}
        for n in chosen[self.single]:
            film, twin = films.images[n], twins[films.rows[n]["body"]]
            region = widened(films.mask(n, 0), films.rows[n]["pitch_mm"])
            other = elsewhere(region, sample_generator(0, int(n), "elsewhere"))
            for name, place in (("region", region), ("elsewhere", other), ("whole", np.ones_like(region))):
                pictures[name].append(restored(film, twin, place))
        self.changed = {name: self._spread(predict(network, np.stack(some))) for name, some in pictures.items() if some}

    def _spread(self, scores: Scores) -> Scores:
        out = {name: np.full(len(self.rows), np.nan) for name in scores}
        for name, values in scores.items():
            out[name][self.single] = values
        return out

    def area(self, name: str) -> Area:
        """Films with it against all others."""
        return area_with_interval(self.scores[name], self.right[name], self.body, self.bootstraps)

    def area_alone(self, name: str, changed: str | None = None, kind: str | None = None) -> Area:
        """Films with one finding, this, against those of healthy bodies; with something changed, in the former only."""
        alone = self.alone(name, kind)
        scores = self.scores if changed is None else self.changed.get(changed, self.scores)
        return area_with_interval(
            np.concatenate([scores[name][alone], self.scores[name][self.none]]),
            np.arange(alone.sum() + self.none.sum()) < alone.sum(),
            np.concatenate([self.body[alone], self.body[self.none]]),
            self.bootstraps,
        )

    def alone(self, name: str, kind: str | None = None) -> NDArray[np.bool_]:
        """(n,) bool: films that show it and nothing else; of one kind where that is given."""
        kinds = (kind,) if kind else CLASSES[name]
        of_kind = np.array([row["findings"][:1] != [] and row["findings"][0]["kind"] in kinds for row in self.rows])
        return self.single & of_kind

    def right_side(self, name: str) -> str:
        """On how many films with it on one side that side scores higher, as a share."""
        sides = [
            (n, seen["laterality"])
            for n, row in enumerate(self.rows)
            for seen in row["findings"]
            if seen["class"] == name and seen["laterality"] in ("left", "right")
        ]
        if name not in SIDED or not sides:
            return "–"
        more_left = self.scores[f"{name} left"] > self.scores[f"{name} right"]
        return f"{np.mean([more_left[n] == (side == 'left') for n, side in sides]):.0%}"


def _introduction(films: Films, recipe: dict[str, float], saved: dict[str, dict[str, int]]) -> str:
    split = {name: films.of(name) for name in ("train", "validation", "test")}
    bodies = {name: len({films.rows[n]["body"] for n in chosen}) for name, chosen in split.items()}
    counts = ", ".join(f"{bodies[name]} to {use}" for name, use in
                       (("train", "train"), ("validation", "choose the epoch"), ("test", "test")))  # fmt: skip
    cost = films.cpu_s()
    left_out = films.left_out()
    lines = [
        f"{sum(bodies.values())} bodies ({counts}), {len(films.rows)} films of {recipe['size']:.0f} × "
        f"{recipe['size']:.0f} pixels, voxels of {recipe['spacing_mm']:g} mm, seed {recipe['seed']:.0f}. A body took "
        f"{sum(cost.values()):.2f} CPU seconds: {cost['body']:.2f} to draw it, {cost['findings']:.2f} for its "
        f"findings, {cost['film']:.2f} for its films. Epoch {saved['epoch']} of {saved['settings']['epochs']}; "
        f"torch {torch.__version__}.",
        f"Command: `python scripts/classify_phantoms.py make --bodies {sum(bodies.values())}`, then `train`, then "
        "`report -o docs/findings.md`",
    ]
    reasons = "; ".join(f"{reason} ({count})" for reason, count in left_out.most_common(8))
    lines.append(f"Findings that could not be drawn: {left_out.total()}" + (f": {reasons}." if reasons else "."))
    if films.failed:
        lines.append(f"Bodies that could not be drawn: {len(films.failed)}: {'; '.join(films.failed[:3])}.")
    return "\n\n".join(lines)


def _persons(test: _Test) -> str:
    names = {"male": "man, against woman"} | {name: f"{name}, against the others" for name in AGE_GROUPS}
    lines = [[title, str(int(test.right[name].sum())), _with_ends(test.area(name))] for name, title in names.items()]
    return table(["", "films", "AUC [95 %]"], lines)


def _findings(test: _Test) -> str:
    head = [
        "finding", "films", "AUC, all films [95 %]", "alone", "AUC, alone against none [95 %]", "region restored",
        "elsewhere restored", "all restored", "side right",
    ]  # fmt: skip
    lines = []
    for name in (*CLASSES, "any finding"):
        cells = [name, str(int(test.right[name].sum())), _with_ends(test.area(name))]
        if name in CLASSES:
            alone = int(test.alone(name).sum())
            areas = [test.area_alone(name, changed) for changed in (None, "region", "elsewhere", "whole")]
            told = [_with_ends(areas[0]), *(_number(area.value) for area in areas[1:])]
            cells += [str(alone), *(told if alone >= _ENOUGH else ["–"] * len(told)), test.right_side(name)]
        lines.append(cells + ["–"] * (len(head) - len(cells)))
    return table(head, lines)


def _reading_the_table(test: _Test) -> str:
    areas = {name: test.area_alone(name).value for name in CLASSES if test.alone(name).sum() >= _ENOUGH}
    below = [name for name, area in areas.items() if area < 0.9]
    return (
        f"Alone, {len(areas) - len(below)} of {len(areas)} classes reach 0.9"
        + (f"; below are {', '.join(below)}." if below else ".")
        + f" Negatives are {int(test.none.sum())} films of healthy bodies."
    )


def _kinds(test: _Test) -> str:
    lines = [
        [kind, name, str(int(test.alone(name, kind).sum())), _with_ends(test.area_alone(name, kind=kind))]
        for name, kinds in CLASSES.items()
        for kind in kinds
        if len(kinds) > 1
    ]
    return table(["kind", "told as", "alone", "AUC, alone against none [95 %]"], lines)


def _number(area: float) -> str:
    return "–" if np.isnan(area) else f"{area:.2f}"


def _with_ends(area: Area) -> str:
    return "–" if np.isnan(area.value) else f"{area.value:.2f} [{area.low:.2f}, {area.high:.2f}]"
