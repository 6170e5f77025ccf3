#!/usr/bin/env bash
# The first minute: radiographs with masks, as a dataset folder. Makes its environment on the first run.
#
#     bash scripts/demo.sh [CT [LABELS]]
#
# Without arguments it draws phantoms: nothing has to be at hand.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh torch

rm -rf out/demo
if (($#)); then
    echo "== synth drr $1"
    synth drr "$1" ${2:+--labels "$2"} --views pa,lateral,lao45cra20 -o out/demo
else
    echo "== synth drr --phantom 3"
    synth drr --phantom 3 --seed 5 --views pa,lateral -o out/demo
fi
python scripts/overlay.py out/demo -o out/demo.png
echo "Look at  out/demo.png             the radiographs, plain and with masks"
echo "         out/demo/images          16-bit PNG"
echo "         out/demo/masks           COCO annotations"
echo "         out/demo/metadata.csv    a row an image: who, findings, report, prompt"
