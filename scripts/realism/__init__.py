"""The parts of compare_real.py: real films, views of CTs, phantoms, what is measured, the pages."""
