#!/usr/bin/env bash
# The checks that need a GPU: the CUDA kernels against float64 brute force, then their speed.
#
#     scripts/gpu_checks.sh            PYTHON=... for another interpreter than `python`
#
# Results go to docs/gpu/. Installs nothing: `pip install -e '.[cuda,dev]'` comes first. Exits 0 where there is no
# GPU, after saying so; otherwise with the status of the first check that failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=${PYTHON:-python}
results=docs/gpu

export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH}
reason=$("$python" -c 'from synth.kernels import _cuda; print(_cuda.unavailable())')
if [[ -n $reason ]]; then
    echo "gpu_checks: nothing was checked on a GPU: $reason" >&2
    exit 0
fi

mkdir -p "$results"
status=0

# Run a command, show its output and keep it.
keep() {
    local file=$results/$1 code=0
    shift
    echo "== $* → $file"
    "$@" 2>&1 | tee "$file" || code=$?
    if ((code && !status)); then status=$code; fi
}

describe() {
    "$python" - <<'PY'
import platform
import cupy
runtime = cupy.cuda.runtime
for index in range(runtime.getDeviceCount()):
    properties = runtime.getDeviceProperties(index)
    memory = properties["totalGlobalMem"] / 2**30
    print(f"{properties['name'].decode()}, compute {properties['major']}.{properties['minor']}, {memory:.0f} GiB")
print(f"CUDA driver {runtime.driverGetVersion()}, runtime {runtime.runtimeGetVersion()}, CuPy {cupy.__version__}")
print(f"Python {platform.python_version()}, {platform.platform()}")
PY
}

keep machine.txt describe
keep kernels.txt "$python" -m pytest -v -rs \
    tests/kernels/test_cuda_device.py tests/kernels/test_cuda_compile.py tests/kernels/test_texture_matrices.py
keep deepdrr.txt "$python" -m pytest -v -rs tests/drr/test_deepdrr.py
keep bench_drr.txt "$python" scripts/bench_drr.py --cuda
keep bench_phantom.txt "$python" scripts/bench_phantom.py --device cuda --bodies 32
exit "$status"
