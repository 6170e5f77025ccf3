#!/usr/bin/env bash
# The first minutes: a small balanced, gated set of chest radiographs of people who never were, with masks, reports and a
# page to look at. Makes its environment on the first run.
#
#     bash scripts/demo.sh                 phantoms: nothing has to be at hand
#     bash scripts/demo.sh CT [LABELS]     radiographs of your CT
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh torch

run() {
    echo "== $*"
    "$@"
}

out=out/demo
rm -rf "$out"
if (($#)); then
    run synth drr "$1" ${2:+--labels "$2"} --views pa,lateral,lao45cra20 -o "$out/dataset"
    run synth report "$out/dataset"
else
    # Whom the set is balanced and judged by: other phantoms, as a hospital would see them.
    run synth drr --phantom 56 --seed 1 --views pa --poses 1 --preset random --size 256 --voxel 3.5 --masks groups \
        --workers 2 -o "$out/reference"
    run synth plan "$out/reference/metadata.csv" --balance sex,age_group --total 24 --alone --seed 5 -o "$out/plan.csv"
    run synth dataset examples/demo.yaml --set "plan=$PWD/$out/plan.csv" --set "gate.reference=$PWD/$out/reference" \
        --workers 2 -o "$out/dataset" || (($? == 1)) # 1: made, and the gate said no
fi
python scripts/overlay.py "$out/dataset" -o "$out/demo.png"
echo "Look at  $out/dataset/report.html      images with masks, who is in it, what the gate said"
echo "         $out/dataset/metadata.csv     a row an image: who, findings, report, prompt, verdicts"
echo "         $out/dataset/images           16-bit PNG"
echo "         $out/dataset/masks            COCO annotations"
echo "         $out/demo.png                 a sheet of images, plain and with masks"
