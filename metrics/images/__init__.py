"""Sets of images to score: folders, tables, files, arrays; their masks, grey values and subgroups."""
