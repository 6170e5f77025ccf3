"""The parts of train_ct.py: presets, the phantoms' CTs, the model card."""
