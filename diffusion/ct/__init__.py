"""Text to CT: three-dimensional latent diffusion, with masks."""
