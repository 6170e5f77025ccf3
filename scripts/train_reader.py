"""The reader that comes with the package: what a frontal radiograph shows, to be held against its record.

    python scripts/train_reader.py out/cxr/data/pa out/cxr/data/ap -o out/reader --minutes 20

DATA are datasets of phantom radiographs, as scripts/train_cxr.py makes them. A quarter of the bodies is kept to judge
and to calibrate by. OUT gets the weights in half precision, reader.json and a card; so does the place where the package
looks for its reader, unless --weights says otherwise.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from synth.core.errors import InputError, SynthError
from synth.core.files import write_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reader_training.films import Films

    from synth.metrics.readers.network import Network

WEIGHTS = Path(__file__).resolve().parent.parent / "metrics" / "weights" / "reader"
KEPT = 0.25
MOST_BYTES = 1_500_000
"""What a reader that comes with the package may take."""


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse_arguments(arguments)
    try:
        run(options)
    except SynthError as error:
        print(f"train_reader: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="+", metavar="DATA", help="datasets of phantom radiographs")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True)
    parser.add_argument("--minutes", type=float, default=20.0, help="to teach (20)")
    parser.add_argument("--steps", type=int, help="instead: of 32 radiographs each, the same on every run")
    parser.add_argument("--size", type=int, default=128, help="pixels of a side that it reads at (128)")
    parser.add_argument("--seed", type=int, default=0, help="of bodies kept, order and augmentation (0)")
    parser.add_argument("--threads", type=int, default=1, help="of torch (1)")
    parser.add_argument("--weights", metavar="FOLDER", default=str(WEIGHTS), help="where it goes besides; '': nowhere")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace) -> None:
    """Reads, teaches, measures and writes.

    Raises:
        InputError: The data or an option cannot be used.
    """
    if options.minutes <= 0 or (options.steps or 1) < 1 or options.size < 32 or options.size % 16:
        raise InputError("--minutes and --steps must be above 0, --size a multiple of 16 from 32 on")
    import torch
    from reader_training.films import Films
    from reader_training.teaching import teach

    torch.set_num_threads(options.threads)
    films = Films.read(options.data, options.size)
    taught, _ = films.split(options.seed, KEPT)
    network, seen = teach(films, taught, options.seed, options.minutes, options.steps)
    publish(network, films, seen, options)


def publish(network: Network, films: Films, seen: int, options: argparse.Namespace) -> None:
    """Measures the network as it will be loaded, and writes weights, facts and card.

    Raises:
        InputError: It is too large to come with the package.
    """
    from reader_training.calibration import measured
    from reader_training.card import card, facts
    from reader_training.teaching import scores
    from safetensors.torch import save

    from synth.metrics.readers.scores import Layout

    network.half().float()
    layout = Layout(films.signs, films.age_groups)
    taught, kept = films.split(options.seed, KEPT)
    found = measured(films, kept, layout, scores(network, films.images[kept]))
    names = " ".join(folder.name.upper() for folder in options.data)
    length = f"--minutes {options.minutes:g}" if options.steps is None else f"--steps {options.steps}"
    command = f"python scripts/train_reader.py {names} -o OUT {length} --size {options.size} --seed {options.seed}"
    bodies = [len(set(films.bodies[rows])) for rows in (taught, kept)]
    counts = (
        f"{options.size} × {options.size} pixels. Taught on {len(taught)} radiographs of {bodies[0]} bodies, each seen "
        f"{seen / len(taught):.1f} times; judged on {len(kept)} of {bodies[1]} others.\n"
    )
    weights = save(
        {
            name: (value.half() if value.is_floating_point() else value).contiguous()
            for name, value in network.state_dict().items()
        }
    )
    if options.weights and len(weights) > MOST_BYTES:
        raise InputError(f"{len(weights)} bytes of weights, more than {MOST_BYTES}; give --weights ''")
    files = {
        "network.safetensors": weights,
        "README.md": card(found, counts, command).encode(),
        "reader.json": facts(options.size, layout, found).encode(),
    }
    for folder in filter(None, (options.output, options.weights)):
        for name, content in files.items():
            write_bytes(Path(folder) / name, content)
    for one in found:
        print(f"{one.name:40}{'—' if one.area is None else f'{one.area:.3f}'}{'' if one.told else '  left out'}")


if __name__ == "__main__":
    main()
