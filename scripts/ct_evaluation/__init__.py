"""Parts of scripts/evaluate_ct.py."""
