# Sourced by the other scripts: makes or refreshes .venv at the root of the checkout and activates it.
#
#     source scripts/environment.sh EXTRAS      EXTRAS as in pyproject.toml, e.g. dev
#
# PYTHON chooses the interpreter (3.11 or later). Where nothing changed since the last time this takes no time.
extras=$1
python=${PYTHON:-python3}
stamp=.venv/.installed-$extras
wanted=$(cat pyproject.toml constraints.txt | sha256sum)

"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "Python 3.11 or later is needed; set PYTHON to one" >&2
    exit 2
}
if [[ ! -f $stamp || $(<"$stamp") != "$wanted" ]]; then
    echo "== making the environment in .venv (once)"
    [[ -x .venv/bin/python ]] || "$python" -m venv .venv
    install=(.venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt)
    "${install[@]}" setuptools torch # torch first and pinned: a package that asks for it later brings CUDA along
    if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then extras=$extras,cuda; fi
    "${install[@]}" --no-build-isolation --editable ".[$extras]"
    echo "$wanted" >"$stamp"
fi
source .venv/bin/activate
