"""Do the intervals of the scores cover, are the p-values p-values, and from what n on is FD∞ right?

Features are made of which the truth is known: mixtures of independent sources, normal or of long tails (Laplace), with
equal or falling variances, shifted and scaled in the generated set. Every case is drawn many times; coverage is the
share of 95 % intervals that hold the truth, or, for scores defined at their size, their mean over the draws. Beside it,
the ordinary bootstrap's. A good interval of a nominal 95 % covers in 90 to 99 %.

    OPENBLAS_NUM_THREADS=1 python scripts/simulate_intervals.py -o docs/scores.md

Takes about ten minutes on one core; `--draws 40` for a look.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench_drr_peers.tables import replace_section

from synth.core.seeds import sample_generator
from synth.metrics.distances.diversity_score import vendi_diversity_score
from synth.metrics.distances.frechet import frechet_distance
from synth.metrics.distances.frechet_infinity import frechet_infinity
from synth.metrics.distances.frechet_score import frechet_infinity_score, frechet_score, same_distribution
from synth.metrics.distances.mmd import kid
from synth.metrics.distances.mmd_score import cmmd_score, kid_score
from synth.metrics.distances.prdc_score import prdc_scores

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from synth.metrics.score_value import Score

    Features = NDArray[np.float64]

SEED = 20_24
BOOTSTRAPS = 50
BOOTSTRAP_DRAWS = 60


@dataclass(frozen=True)
class Case:
    """Two distributions and the sizes of their samples."""

    name: str
    d: int
    n: int
    m: int
    shift: float = 0.0
    scale: float = 1.0
    decay: float = 0.0  # features over which variances fall e-fold; 0: equal variances
    tails: bool = False

    def draw(self, rng: np.random.Generator) -> tuple[Features, Features]:
        """A reference and a generated set."""
        spread = self._spread()
        reference = self._source(self.n, rng) * spread
        generated = self._source(self.m, rng) * spread * self.scale
        generated[:, 0] += self.shift
        return reference, generated

    def frechet(self) -> float:
        """The Fréchet distance of the distributions."""
        return self.shift**2 + float(np.sum(self._spread() ** 2)) * (self.scale - 1) ** 2

    def _source(self, n: int, rng: np.random.Generator) -> Features:
        shape = (n, self.d)
        return rng.laplace(size=shape, scale=np.sqrt(0.5)) if self.tails else rng.standard_normal(shape)

    def _spread(self) -> Features:
        return np.exp(-np.arange(self.d) / (2 * self.decay)) if self.decay else np.ones(self.d)


CASES = (
    Case("same distribution, n = 2d", 32, 64, 64),
    Case("same distribution, n = 8d", 32, 256, 256),
    Case("shifted, n = 2d", 32, 64, 64, 1.03),
    Case("shifted, n = 2d, d = 64", 64, 128, 128, 1.03),
    Case("shifted, 64 against 300", 32, 64, 300, 1.03),
    Case("shifted and wider, n = 4d", 32, 128, 128, 1.03, 1.2),
    Case("narrower, long tails, n = 8d", 16, 128, 128, 0.5, 0.7, tails=True),
    Case("falling variances, n = 2d", 32, 64, 64, 1.03, decay=8.0),
    Case("far apart, n = 4d", 32, 128, 128, 4.0, 1.5),
)

LEGEND = (
    "The truth of FD∞ is computed from the distributions; that of KID, right on average at any size, and all the other "
    "targets, means at the sizes of the case, are means over the draws. With 300 draws a coverage is uncertain by 1.3."
)


def main() -> None:
    options = parse_arguments(__doc__)
    text = "\n\n".join([coverage(options.draws), by_size(options.draws), levels(options.draws)])
    print(text)
    if options.output:
        command = f"`OPENBLAS_NUM_THREADS=1 python scripts/simulate_intervals.py --draws {options.draws}`"
        replace_section(options.output, "simulate_intervals", f"## Simulated\n\nCommand: {command}\n\n{text}")


def parse_arguments(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=300, help="of every case (default 300)")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="Markdown file to put the section into")
    options = parser.parse_args()
    if options.draws < 10:
        parser.error(f"--draws: {options.draws} is too few to count; give at least 10")
    return options


def coverage(draws: int) -> str:
    """The table of coverages, a row a case."""
    head = "| case | FD∞, truth | FD | KID, truth | CMMD | precision | recall | density | coverage | Vendi |"
    lines = [f"### Coverage of nominal 95 % intervals, {draws} draws, per cent", "", head, "|---" * 10 + "|"]
    for case in CASES:
        lines.append(f"| {case.name} | {' | '.join(f'{100 * share:.0f}' for share in covered(case, draws))} |")
        print(lines[-1], file=sys.stderr, flush=True)
    lines += ["", LEGEND, "", naive()]
    return "\n".join(lines)


def covered(case: Case, draws: int) -> list[float]:
    """Coverage of every score in a case; the truth of a score that is right on average is its mean over the draws."""
    found: dict[str, list[Score]] = {}
    for i in range(draws):
        rng = sample_generator(SEED, i, case.name)
        for name, score in every_score(*case.draw(rng), rng).items():
            found.setdefault(name, []).append(score)
    truths = {"infinity": case.frechet()}
    return [cover(scores, truths.get(name)) for name, scores in found.items()]


def every_score(x: Features, y: Features, rng: np.random.Generator) -> dict[str, Score]:
    return {
        "infinity": frechet_infinity_score(x, y, rng=rng, permutations=0, repeats=0),
        "frechet": frechet_score(x, y, rng=rng, permutations=0, repeats=0),
        "kid": kid_score(x, y, rng=rng, permutations=0, repeats=0),
        "cmmd": cmmd_score(x, y, rng=rng, permutations=0, repeats=0),
        **prdc_scores(x, y, rng=rng, permutations=0),
        "vendi": vendi_diversity_score(x, y, rng=rng, permutations=0),
    }


def cover(scores: list[Score], truth: float | None) -> float:
    target = np.mean([score.value for score in scores]) if truth is None else truth
    return float(np.mean([(score.low or 0) <= target <= (score.high or 0) for score in scores]))


def naive() -> str:
    """What the ordinary bootstrap covers."""
    lines = ["Ordinary percentile bootstrap, for comparison:", "", "| case | FD, truth | FD, its mean | KID, truth |"]
    lines.append("|---" * 4 + "|")
    for case in CASES:
        runs = [bootstrapped(case, sample_generator(SEED, i, case.name)) for i in range(BOOTSTRAP_DRAWS)]
        frechet, kernel = (np.array([run[k] for run in runs]) for k in (0, 1))
        targets = ((frechet, case.frechet()), (frechet, frechet[:, 2].mean()), (kernel, kernel[:, 2].mean()))
        shares = [float(np.mean((ends[:, 0] <= truth) & (truth <= ends[:, 1]))) for ends, truth in targets]
        lines.append(f"| {case.name} | {' | '.join(f'{100 * share:.0f}' for share in shares)} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def bootstrapped(case: Case, rng: np.random.Generator) -> list[list[float]]:
    """Low, high and value of the Fréchet distance and of KID by drawing images with replacement."""
    x, y = case.draw(rng)
    rows = [(rng.integers(0, case.n, case.n), rng.integers(0, case.m, case.m)) for _ in range(BOOTSTRAPS)]
    ends = []
    for score in (frechet_distance, kid):
        values = [score(x[i], y[j]) for i, j in rows]
        ends.append([*np.quantile(values, [0.025, 0.975]), score(x, y)])
    return ends


def by_size(draws: int) -> str:
    """Fréchet distances, and floors, against n."""
    d, times = 64, max(10, draws // 2)
    lines = [f"### From what n on, d = {d}, equal variances, truth 1.06, means of {times} draws", ""]
    lines += ["| n / d | FD | generated set alone shrunk | FD∞ | floor as estimated | real against fresh real |"]
    lines += ["|---" * 6 + "|"]
    for ratio in (0.5, 1, 1.5, 2, 3, 4, 8):
        case = Case(f"n = {ratio:g} d", d, int(ratio * d), int(ratio * d), 1.03)
        values = np.mean([sizes(case, sample_generator(SEED, i, case.name)) for i in range(times)], axis=0)
        lines.append(f"| {ratio:g} | {' | '.join(f'{value:.2f}' for value in values)} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def sizes(case: Case, rng: np.random.Generator) -> list[float]:
    x, y = case.draw(rng)
    fresh = Case("", case.d, case.n, case.n).draw(rng)[0]
    score = frechet_score(x, y, rng=rng, permutations=0)
    return [
        score.value,
        one_sided(x, y, rng),
        frechet_infinity(x, y, rng=rng),
        score.floor or 0.0,
        frechet_distance(x, fresh),
    ]


def one_sided(x: Features, y: Features, rng: np.random.Generator) -> float:
    """FID∞ of Chong and Forsyth (2020): the line in 1/m through generated sets of falling size, whole reference."""
    counts = np.linspace(len(y) // 2, len(y), 6).astype(int)
    values = [frechet_distance(x, rng.permutation(y)[:count]) for count in counts]
    return float(np.polyfit(1 / counts, values, 1)[1])


def levels(draws: int) -> str:
    """How often p ≤ 0.05."""
    same, other = Case("same", 16, 60, 60), Case("shifted", 16, 60, 60, 0.8)
    tests: dict[str, Callable[[Features, Features, np.random.Generator], float]] = {
        "Fréchet": lambda x, y, rng: same_distribution(x, y, rng=rng, permutations=99),
        "KID": lambda x, y, rng: kid_score(x, y, rng=rng, permutations=99, repeats=0).p_value or 0.0,
        "CMMD": lambda x, y, rng: cmmd_score(x, y, rng=rng, permutations=99, repeats=0).p_value or 0.0,
    }
    lines = [f"### p ≤ 0.05, per cent of {draws} draws, n = 60, d = 16", ""]
    lines += ["| statistic | same distribution | one feature shifted by 0.8 σ |", "|---|---|---|"]
    for name, test in tests.items():
        shares = []
        for case in (same, other):
            rngs = [sample_generator(SEED, i, case.name, name) for i in range(draws)]
            shares.append(np.mean([test(*case.draw(rng), rng) <= 0.05 for rng in rngs]))
        lines.append(f"| {name} | {100 * shares[0]:.0f} | {100 * shares[1]:.0f} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


if __name__ == "__main__":
    main()
