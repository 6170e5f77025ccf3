#!/usr/bin/env bash
# The first minute: radiographs with masks of one chest, as a dataset folder. Makes its environment on the first run.
#
#     bash scripts/demo.sh [CT [LABELS]]
#
# Without arguments it takes the chest CT of ../shared/data where that is present, else an analytic thorax.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh torch

real=../shared/data/ct/lidc_idri_0001
if (($#)); then
    ct=$1 labels=${2:-}
elif [[ -f $real.nii.gz ]]; then
    ct=$real.nii.gz labels=${real}_seg.nii.gz
else
    echo "== no CT at hand: making an analytic thorax"
    python scripts/make_thorax.py out/thorax
    ct=out/thorax/thorax.nii.gz labels=out/thorax/thorax_seg.nii.gz
fi

echo "== synth drr"
rm -rf out/demo
synth drr "$ct" ${labels:+--labels "$labels"} --views pa,lateral,lao45cra20 -o out/demo
python scripts/overlay.py out/demo -o out/demo.png
echo "Look at  out/demo.png             the radiographs, plain and with masks"
echo "         out/demo/images          16-bit PNG"
echo "         out/demo/masks           COCO annotations"
echo "         out/demo/metadata.csv    a row an image"
