"""`synth`: the commands, and how they fail — one line on stderr, an exit code, no traceback."""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType
from typing import Annotated

import typer
from typer.exceptions import TyperException

import synth
from synth.cli import ct, cxr, dataset, doctor, drr, gate, lowdose, phantom, plan, report, score, train
from synth.core.errors import SynthError

__all__ = ["app", "main"]

_INTERRUPTED = 130

app = typer.Typer(
    name="synth",
    help="Synthetic radiology imaging: radiographs and CTs with masks, balanced and gated datasets, and their scores.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("drr")(drr.command)
app.command("phantom")(phantom.command)
app.command("lowdose")(lowdose.command)
app.command("cxr")(cxr.command)
app.command("ct")(ct.command)
app.add_typer(train.app, name="train")
app.command("plan")(plan.command)
app.command("dataset")(dataset.command)
app.command("report")(report.command)
app.command("score")(score.command)
app.command("gate")(gate.command)
app.command("doctor")(doctor.command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"radsynth {synth.__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Synthetic radiology imaging: radiographs and CTs with masks, balanced and gated datasets, and their scores."""


def main() -> None:
    """Runs the command line and exits: 0 done, 1 the gate said no, 2 bad input or usage, 130 interrupted."""
    signal.signal(signal.SIGTERM, _interrupt)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # a path need not be Unicode
    code = _run()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    sys.exit(code)


def _run() -> int:
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
        if code == _INTERRUPTED:  # typer's own answer to KeyboardInterrupt
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except SynthError as error:
        return _fail(str(error), error.exit_code)
    except TyperException as error:
        return _fail(f"{error.format_message()} (see --help)", 2)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("interrupted; give the same command again, with --resume where it has one", _INTERRUPTED)
    except MemoryError:
        return _fail("not enough memory: use fewer pixels, a cropped or coarser CT", 2)
    except (BrokenPipeError, SystemExit):  # typer turns a closed pipe into an exit
        _drop_output()
        return 0
    except OSError as error:
        if error.filename is None:
            _drop_output()
        return _fail(f"{error.filename or 'standard output'}: {error.strerror or error}", 2)


def _fail(message: str, code: int) -> int:
    print("synth:", " ".join(message.split()), file=sys.stderr)
    return code


def _drop_output() -> None:
    """Nobody reads on: what is still buffered must not fail again when Python flushes it at exit."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.__stdout__.fileno() if sys.__stdout__ else 1)
    os.close(null)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
