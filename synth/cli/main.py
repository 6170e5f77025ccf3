"""`synth`: the commands, and how they fail — one line on stderr, an exit code, no traceback."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Annotated

import typer
from typer.exceptions import TyperException

import synth
from synth.cli import doctor, drr
from synth.core.errors import SynthError

__all__ = ["app", "main"]

app = typer.Typer(
    name="synth",
    help="Synthetic radiology imaging: radiographs with masks from CT.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("drr")(drr.command)
app.command("doctor")(doctor.command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"radsynth {synth.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Synthetic radiology imaging: radiographs with masks from CT."""


def main() -> None:
    """Runs the command line and exits: 0 done, 1 the gate said no, 2 bad input or usage, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(_run())


def _run() -> int:
    try:
        code = app(standalone_mode=False)
        return code if isinstance(code, int) else 0
    except SynthError as error:
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(f"{error.format_message()} (see --help)", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; go on with the same command and --resume", 130)
    except MemoryError:
        return _fail("not enough memory: use fewer pixels, a cropped or coarser CT", 2)
    except BrokenPipeError:
        return 0


def _fail(message: str, code: int) -> int:
    print("synth:", " ".join(message.split()), file=sys.stderr)
    return code


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
