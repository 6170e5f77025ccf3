"""The flow's path, the times it is trained at, and a scheduler of second order."""

from __future__ import annotations

import itertools

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from synth.core.errors import InputError
from synth.diffusion.flow import FlowScheduler, Guidance, draw_times, interpolate, noise_of, noise_seed, velocity


def solved(scheduler: FlowScheduler, steps: int, start: Tensor, field) -> Tensor:
    """Follows a velocity field of (sample, time)."""
    scheduler.set_timesteps(steps)
    sample = start
    for at, timestep in enumerate(scheduler.timesteps):
        slope = field(sample, float(scheduler.sigmas[at]))
        sample = scheduler.step(slope, timestep, sample).prev_sample
    return sample


def test_the_path_is_straight_and_the_velocity_is_its_slope() -> None:
    data, noise = torch.randn(2, 3, 4, 5).unbind(0)
    times = torch.tensor([0.0, 0.5, 1.0])
    points = interpolate(data, noise, times)
    assert torch.equal(points[0], data[0])
    assert torch.equal(points[2], noise[2])
    later = interpolate(data, noise, times + 0.25)
    torch.testing.assert_close((later - points) / 0.25, velocity(data, noise))


def test_times_are_logit_normal() -> None:
    times = draw_times(20_000, torch.Generator().manual_seed(1), mean=0.3, deviation=0.8)
    logits = torch.logit(times.double())
    assert logits.mean().item() == pytest.approx(0.3, abs=0.01)
    assert logits.std().item() == pytest.approx(0.8, abs=0.01)
    spread = draw_times(8, torch.Generator().manual_seed(2)).sort().values
    quantiles = torch.special.ndtr(torch.logit(spread.double()))
    assert torch.equal((quantiles * 8).floor().long(), torch.arange(8))  # one in each eighth
    assert not torch.equal(draw_times(8, torch.Generator().manual_seed(2)), spread)  # but in no order


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_euler_is_the_scheduler_of_diffusers(shift: float) -> None:
    start = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    ours, theirs = FlowScheduler("euler", shift), FlowMatchEulerDiscreteScheduler(shift=shift)
    # diffusers counts down to 1 / 1000 before it shifts; the same times are given to both.
    sigmas = [1.0, 0.7, 0.45, 0.2]
    ours.set_timesteps(sigmas=sigmas)
    theirs.set_timesteps(sigmas=sigmas)
    torch.testing.assert_close(ours.timesteps, theirs.timesteps)
    torch.testing.assert_close(ours.sigmas, theirs.sigmas)
    a = b = start
    for one, other in zip(ours.timesteps, theirs.timesteps, strict=True):
        a = ours.step(torch.sin(a), one, a).prev_sample
        b = theirs.step(torch.sin(b), other, b).prev_sample
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("adams", 2)])
def test_the_error_falls_with_the_order(solver: str, order: int) -> None:
    def field(sample: Tensor, time: float) -> Tensor:
        return -1.5 * sample + torch.cos(torch.tensor(4 * time, dtype=torch.float64))

    start = torch.ones(1, dtype=torch.float64)
    exact = solved(FlowScheduler("adams"), 8192, start, field)
    scheduler = FlowScheduler(solver, 1.5)
    errors = [(solved(scheduler, steps, start, field) - exact).abs().item() for steps in (32, 64, 128)]
    for coarse, fine in itertools.pairwise(errors):
        assert coarse / fine == pytest.approx(2**order, rel=0.12)


def test_a_straight_flow_needs_one_step() -> None:
    data, noise = torch.randn(2, 1, 3, 8, 8).unbind(0)
    for solver in ("euler", "adams"):
        found = solved(FlowScheduler(solver), 1, noise, lambda *_: velocity(data, noise))
        torch.testing.assert_close(found, data, atol=1e-6, rtol=0)


def test_an_image_is_brought_to_a_time() -> None:
    scheduler = FlowScheduler()
    scheduler.set_timesteps(sigmas=[0.25])
    image, noise = torch.randn(2, 1, 4).unbind(0)
    brought = scheduler.scale_noise(image, scheduler.timesteps[:1], noise)
    torch.testing.assert_close(brought, interpolate(image, noise, torch.tensor([0.25])))


def test_the_noise_of_a_sample_is_its_own() -> None:
    seeds = [noise_seed(3, index) for index in range(4)]
    assert len(set(seeds)) == 4
    assert noise_seed(3, 1) != noise_seed(3, 1, "posterior")
    together = noise_of(seeds, (2, 3, 3))
    assert torch.equal(together[2:3], noise_of([seeds[2]], (2, 3, 3)))
    assert noise_of([], (2, 3)).shape == (0, 2, 3)


def test_guidance_acts_within_its_interval() -> None:
    guide = Guidance(2.0, 0.2, 0.8)
    assert [guide.at(time) for time in (0.1, 0.2, 0.5, 0.8, 0.9)] == [False, True, True, True, False]
    assert guide.mix(torch.tensor(3.0), torch.tensor(1.0)) == 5.0
    assert Guidance().off
    assert not Guidance(0.0).off


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: Guidance(-1), "guidance -1"),
        (lambda: Guidance(2, 0.8, 0.2), "interval"),
        (lambda: FlowScheduler("rk45"), "adams or euler"),
        (lambda: FlowScheduler(shift=0), "shift"),
        (lambda: FlowScheduler().set_timesteps(0), "steps 0"),
    ],
)
def test_what_means_nothing_is_refused(call, told: str) -> None:
    with pytest.raises(InputError, match=told):
        call()
