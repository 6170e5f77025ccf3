"""A task of a benchmark, run by its script in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_REPOSITORY = Path(__file__).resolve().parents[2]


def run_task(script: str, task: str, *arguments: object, **environment: str) -> dict[str, Any]:
    """The JSON that a script prints last when it is given --task.

    Args:
        script: Its file.
        task: Which.
        arguments: Further ones.
        environment: Variables beside those of this process.
    """
    paths = os.pathsep.join([str(_REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, script, "--task", task, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": paths} | environment,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result
