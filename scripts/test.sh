#!/usr/bin/env bash
# Every check: lint, types, tests. Makes its environment on the first run.
#
#     bash scripts/test.sh [PYTEST OPTIONS]
#
# A process a core, a file to a process; libraries take one thread each, as threads that wait for each other are slower.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh dev
echo "== ruff"
ruff check .
ruff format --check .
echo "== mypy"
mypy
echo "== pytest"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
pytest --numprocesses auto --dist loadfile "$@"
