"""Teaching the network: mild augmentation, maps taught by the masks, the epoch that does best on validation bodies."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from phantom_classifier.design import AGE_GROUPS, CLASSES
from phantom_classifier.network import SIDES, SIGNS, new_network, standardised
from phantom_classifier.scoring import area_under_curve
from synth.core.files import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from phantom_classifier.films import Films
    from synth.metrics.readers.network import Network

_CELL = 8  # pixels of a film to a cell of a map
_COVERED = 0.15  # share of a cell that a finding takes where the map should show it
_RARE_SIGN, _RARE_CELL = 4.0, 8.0  # how much more a missed one counts than a false one


@dataclass(frozen=True)
class Training:
    """How to train.

    Attributes:
        epochs: Passes over all films with findings, and as many without; the learning rate falls to 0 over them.
        batch: Films of a step.
        rate: Highest learning rate.
        patience: Epochs without gain on validation bodies that end it.
        seed: Of weights, order and augmentation.
        threads: Of torch.
    """

    epochs: int
    batch: int
    rate: float
    patience: int
    seed: int
    threads: int


@dataclass(frozen=True, eq=False)
class Targets:
    """What is right.

    Attributes:
        signs: (n, s) float32, 0 or 1.
        maps: For every film: (sign, (h/8, w/8) bool) of every finding.
        man: (n,) float32, 0 or 1.
        age: (n,) number of the age group.
    """

    signs: Tensor
    maps: list[list[tuple[int, NDArray[np.bool_]]]]
    man: Tensor
    age: Tensor

    @classmethod
    def of(cls, films: Films) -> Targets:
        """Those of all films."""
        signs, maps = torch.zeros(len(films.rows), len(SIGNS)), []
        for film, row in enumerate(films.rows):
            maps.append([part for n in range(len(row["findings"])) for part in _parts(films, film, n)])
            for sign, _ in maps[-1]:
                signs[film, sign] = 1.0
        man = torch.tensor([float(row["sex"] == "M") for row in films.rows])
        firsts = [first for first, _ in AGE_GROUPS.values()]
        age = torch.tensor([int(np.searchsorted(firsts, row["age"], side="right")) - 1 for row in films.rows])
        return cls(signs, maps, man, age)

    def dense(self, chosen: NDArray[np.int64], shape: tuple[int, int]) -> Tensor:
        """(n, s, h/8, w/8) float32 of the chosen films."""
        out = torch.zeros(len(chosen), len(SIGNS), *shape)
        for n, film in enumerate(chosen):
            for sign, cells in self.maps[film]:
                out[n, sign] = torch.maximum(out[n, sign], torch.from_numpy(cells).float())
        return out


def _parts(films: Films, film: int, finding: int) -> list[tuple[int, NDArray[np.bool_]]]:
    """The signs of a finding, each with its cells; what is on both sides is split at the middle of the film."""
    seen, mask = films.rows[film]["findings"][finding], films.mask(film, finding)
    h, w = (n // _CELL for n in mask.shape)
    share = mask[: h * _CELL, : w * _CELL].reshape(h, _CELL, w, _CELL).mean((1, 3))
    cells = share > min(_COVERED, share.max() / 2)  # what is small or thin is shown where there is most of it
    sides = [side for name, side in SIGNS if name == seen["class"] and seen["laterality"] in (side, "bilateral", None)]
    if len(sides) == 1:
        return [(SIGNS.index((seen["class"], sides[0])), cells)]
    halves = {"right": np.arange(w) < w / 2, "left": np.arange(w) >= w / 2}
    return [(SIGNS.index((seen["class"], side)), cells & halves[str(side)]) for side in SIDES]


def train(films: Films, settings: Training, path: Path) -> None:
    """Trains, and writes the best weights and what each epoch was worth to `path`."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    torch.use_deterministic_algorithms(True)
    order = np.random.default_rng(settings.seed)
    targets, network = Targets.of(films), new_network().to(memory_format=torch.channels_last)
    training, validation = films.of("train"), films.of("validation")
    found = np.array([row["role"] == "found" for row in films.rows])
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=0.03)
    steps = -(-2 * int(found[training].sum()) // settings.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, settings.rate, total_steps=steps * settings.epochs)
    best, best_epoch, history = -1.0, 0, []
    for epoch in range(settings.epochs):
        start = time.perf_counter()
        losses = []
        for chosen in _batches(training, found, settings.batch, order):
            loss = _loss(network.train(), films, targets, chosen)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        area = validate(network, films, targets, validation)
        history.append({"loss": float(np.mean(losses)), "area": area, "seconds": time.perf_counter() - start})
        print(f"epoch {epoch + 1}: loss {history[-1]['loss']:.3f}, validation area {area:.3f}, "
              f"{history[-1]['seconds']:.0f} s", file=sys.stderr)  # fmt: skip
        if area > best:
            best, best_epoch = area, epoch
            with atomic_path(path) as temporary:
                torch.save({"weights": network.state_dict(), "epoch": epoch + 1, "settings": vars(settings)}, temporary)
        elif epoch - best_epoch >= settings.patience:
            break


def _batches(
    training: NDArray[np.int64], found: NDArray[np.bool_], size: int, order: np.random.Generator
) -> list[NDArray[np.int64]]:
    """An epoch: all films with findings and as many of the others, shuffled."""
    some, others = training[found[training]], training[~found[training]]
    mixed = np.concatenate([some, order.choice(others, len(some), replace=len(others) < len(some))])
    order.shuffle(mixed)
    return np.array_split(mixed, -(-len(mixed) // size))


def _loss(network: Network, films: Films, targets: Targets, chosen: NDArray[np.int64]) -> Tensor:
    images = torch.from_numpy(films.images[chosen])
    wanted = targets.dense(chosen, (images.shape[1] // _CELL, images.shape[2] // _CELL))
    images, wanted = augmented(standardised(images), wanted)
    signs, maps, man, age = network(images)
    told = _entropy(signs, targets.signs[chosen], _RARE_SIGN).sum(1).mean()
    shown = _entropy(maps, wanted, _RARE_CELL).mean((2, 3)).sum(1).mean()
    sex = nn.functional.binary_cross_entropy_with_logits(man, targets.man[chosen])
    years = nn.functional.cross_entropy(age, targets.age[chosen])
    return told + shown + 0.5 * (sex + years)


def _entropy(logits: Tensor, wanted: Tensor, weight: float) -> Tensor:
    return nn.functional.binary_cross_entropy_with_logits(
        logits, wanted, pos_weight=torch.tensor(weight), reduction="none"
    )


def augmented(images: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Both turned by up to 4°, zoomed by up to 6 % and moved by up to 4 %; films of other contrast and some noise.

    Nothing is mirrored: right and left are to be learnt.
    """
    n = len(images)

    def draw(most: float) -> Tensor:
        return (2 * torch.rand(n) - 1) * most

    angle, zoom = torch.deg2rad(draw(4.0)), 1 + draw(0.06)
    cosine, sine = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    rows = [torch.stack([cosine, -sine, draw(0.08)], 1), torch.stack([sine, cosine, draw(0.08)], 1)]
    pose = torch.stack(rows, 1)

    def moved(pictures: Tensor, padding: str) -> Tensor:
        grid = nn.functional.affine_grid(pose, list(pictures.shape), align_corners=False)
        return nn.functional.grid_sample(pictures, grid, padding_mode=padding, align_corners=False)

    films = moved(images, "border")
    gain, power = (1 + draw(0.15))[:, None, None, None], (1 + draw(0.15))[:, None, None, None]
    films = torch.sign(films) * films.abs() ** power * gain
    films = films + draw(0.1)[:, None, None, None] + draw(0.05)[:, None, None, None] * torch.randn_like(films)
    return films, moved(maps, "zeros")


@torch.no_grad()
def predict(network: Network, images: NDArray[np.uint8]) -> dict[str, NDArray[np.float64]]:
    """Scores of films, (n,) each: every class; (class, "right") and (class, "left") joined by a space; "male"; ages."""
    network.eval()
    parts = [network(standardised(torch.from_numpy(some))) for some in np.array_split(images, -(-len(images) // 64))]
    signs, _, man, age = (torch.cat(each).double().numpy() for each in zip(*parts, strict=True))
    ages = torch.log_softmax(torch.from_numpy(age), 1).numpy()
    scores = {"male": man} | {name: _odds(ages[:, n]) for n, name in enumerate(AGE_GROUPS)}
    for name in CLASSES:
        columns = [n for n, sign in enumerate(SIGNS) if sign[0] == name]
        scores[name] = signs[:, columns].max(1)
        scores |= {f"{name} {SIGNS[n][1]}": signs[:, n] for n in columns}
    scores["any finding"] = np.logaddexp.reduce(signs, axis=1)
    return scores


def _odds(log_share: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(log_share - np.log1p(-np.minimum(np.exp(log_share), 1 - 1e-12)), np.float64)


def truth(films: Films, chosen: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """What there is to tell of films, (n,) each: the names of `predict` without sides."""
    rows = [films.rows[n] for n in chosen]
    right = {"male": np.array([row["sex"] == "M" for row in rows])}
    for name, (first, end) in AGE_GROUPS.items():
        right[name] = np.array([first <= row["age"] < end for row in rows])
    for name in CLASSES:
        right[name] = np.array([name in {seen["class"] for seen in row["findings"]} for row in rows])
    right["any finding"] = np.array([bool(row["findings"]) for row in rows])
    return right


def validate(network: Network, films: Films, targets: Targets, chosen: NDArray[np.int64]) -> float:
    """Mean area under the curve over all that can be told and is there."""
    scores, right = predict(network, films.images[chosen]), truth(films, chosen)
    areas = [area_under_curve(scores[name], there) for name, there in right.items() if there.any() and not there.all()]
    return float(np.mean(areas))
