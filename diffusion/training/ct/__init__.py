"""Training of text to CT: autoencoder, base, refiner and control branch."""
