"""Scores of synthetic images against real ones, and the gate they pass.

    images          sets of images: folders, tables, arrays; masks, grey values, subgroups, patients
    radiomics       texture, first-order and shape features
    extractors      from images to vectors: radiomics and networks by name, with a cache
    distances       scores of vectors: Fréchet distance, KID, CMMD, precision and recall, diversity
    frd             the Fréchet radiomic distance
    alignment       whether images show what was asked for
    memorisation    whether they copy training images
    fairness        scores by subgroup, and whom a classifier underdiagnoses
    verdicts        checks of single images, fitted to real ones
    scoring         all scores of two sets in one call
    gate            whether a set may train a model
    pages           tables, plots and HTML of the two

Beside the rooms: `score_value`, what every score returns; `uncertainty`, how far it can be trusted; `patients`, whose
images are not independent.
"""
