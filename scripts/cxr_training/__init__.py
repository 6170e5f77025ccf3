"""The parts of train_cxr.py: presets, the population and its radiographs, the model card."""
