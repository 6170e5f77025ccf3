"""The parts of bench_drr.py: the scene, the exact references, the projectors, the floor, the tables."""
