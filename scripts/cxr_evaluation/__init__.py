"""The parts of evaluate_cxr.py: pictures, the readers that judge them, what is measured, and the tables."""
