"""The parts of train_reader.py: radiographs, teaching, calibration, the card."""
