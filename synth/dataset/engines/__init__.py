"""Who makes the samples: one process, or several."""
