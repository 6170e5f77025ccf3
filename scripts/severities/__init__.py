"""Parts of score_severities.py."""
