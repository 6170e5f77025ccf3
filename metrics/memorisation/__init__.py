"""Does a generator give back what it was trained on: copies, duplicates, and sets that lean towards training images."""
