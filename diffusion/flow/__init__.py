"""Rectified flow: what is learned, how it is sampled, and the noise each sample starts from; for 2D and 3D alike."""

from synth.diffusion.flow.guidance import Guidance
from synth.diffusion.flow.noise import noise_of, noise_seed
from synth.diffusion.flow.path import draw_times, interpolate, velocity
from synth.diffusion.flow.scheduler import FlowScheduler

__all__ = ["FlowScheduler", "Guidance", "draw_times", "interpolate", "noise_of", "noise_seed", "velocity"]
