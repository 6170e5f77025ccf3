"""What to make: the distribution of a reference, and the samples that would balance it."""
