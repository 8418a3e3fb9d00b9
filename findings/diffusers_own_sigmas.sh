#!/usr/bin/env bash
# Noise levels of one's own in three schedulers of diffusers 0.42.1 (PyPI): set_timesteps(sigmas=...).
#
# A good guess: each of them samples at these levels, "custom sigmas" in the documentation, and then goes on to 0.
# What happens: (1) Euler's takes the last one for the end. Five levels are four steps, and the picture keeps the noise of the
# fifth unless a 0 is put behind (scheduling_euler_discrete.py). (2) Flow matching's adds the 0 itself, and puts the levels
# through its shift first, 3.0 for Stable Diffusion 3: levels that are read from a scheduler and handed back become others
# (scheduling_flow_match_euler_discrete.py). (3) EDM's takes them for places on the way from sigma_max to sigma_min, from 0 to 1
# (scheduling_edm_euler.py). With sigma_schedule="exponential" their count alone is used. With "karras", the usual, what is above
# 1 becomes huge negative noise, which the network is told as NaN. No error, no warning.
# Seen: Euler ends with noise of 0.2 in the picture for levels from 14 to 0.2, and with none if 0 is put behind. Flow matching's
# 0.9, 0.5 and 0.1 become 0.96, 0.75 and 0.25. EDM's levels from 80 to 0.2 become 80 to 0.002, whatever they are, with
# "exponential"; with "karras" three of five are negative and told as NaN. Fails if that changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check diffusers==0.42.1 torch==2.13.0 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import sys
from importlib.metadata import version

import torch
from diffusers import EDMEulerScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler


def left(sigmas: list[float]) -> tuple[int, float]:
    """Euler's number of steps and the noise at the end, of a picture that is 0 and a network that knows the noise."""
    scheduler = EulerDiscreteScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    scheduler.set_timesteps(sigmas=sigmas)
    noise = torch.randn(1, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    sample = noise * scheduler.sigmas[0]
    for time in scheduler.timesteps:
        scheduler.scale_model_input(sample, time)
        sample = scheduler.step(noise, time, sample).prev_sample
    return len(scheduler.timesteps), float(sample.std())


def edm(schedule: str, sigmas: list[float]) -> EDMEulerScheduler:
    """EDM's scheduler with these levels."""
    scheduler = EDMEulerScheduler(sigma_schedule=schedule)
    scheduler.set_timesteps(len(sigmas), sigmas=torch.tensor(sigmas))
    return scheduler


print(f"diffusers {version('diffusers')}")
usual = [14.0, 5.0, 2.0, 1.0, 0.2]
(steps, noise), (more, none) = left(usual), left([*usual, 0.0])
print(f"Euler, five levels: {steps} steps and noise of {noise:.2f} at the end; with a 0 behind: {more} and {none:.2f}")
flow = FlowMatchEulerDiscreteScheduler(shift=3.0)
wanted = torch.tensor([0.9, 0.5, 0.1])
flow.set_timesteps(sigmas=wanted.tolist())
shifted = flow.sigmas.clone()
flow.set_timesteps(sigmas=shifted[:-1].tolist())
print(f"flow matching: {wanted.tolist()} become {shifted.tolist()}, and these {flow.sigmas.tolist()}")
high, low = [80.0, 20.0, 5.0, 1.0, 0.2], [1.0, 0.9, 0.8, 0.7, 0.6]
counted, karras = edm("exponential", high), edm("karras", high)
print(f"EDM, exponential: {[round(sigma, 3) for sigma in counted.sigmas.tolist()]}")
told = [f"{time:.2f}" for time in karras.timesteps.tolist()]
print(f"EDM, karras: {[f'{sigma:.3g}' for sigma in karras.sigmas.tolist()]}, told as {told}")
kept = (steps, more) == (4, 5) and abs(noise - 0.2) < 0.01 and none < 1e-5
twice = torch.allclose(shifted[:-1], 3 * wanted / (1 + 2 * wanted)) and not torch.allclose(flow.sigmas, shifted, atol=0.1)
ignored = torch.equal(counted.sigmas, edm("exponential", low).sigmas)
broken = bool((karras.sigmas[:3] < 0).all() and karras.timesteps[:3].isnan().all())
sys.exit(not (kept and twice and ignored and broken))
PYTHON
"$work/venv/bin/python" -W ignore "$work/try.py"
