"""Structure of disks: arms, floccules, clumps, rings, lopsidedness, tidal arms.

Structure is a factor on smooth radial profiles. It is made in polar coordinates that turn
with the arms, (ln R, angle - ln R / tan(pitch)), in which a logarithmic spiral is a
straight line and noise drawn out along it is flocculent structure. Each factor has a mean of
exactly 1 around every circle, so it moves mass and makes none, whatever the frame shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from picasssso._core.random import Stream

#: What is modulated, in the order of the channels.
CHANNELS = ("old", "h2", "sfr100", "sfr10", "hi")

_LOG2_E = 1.4426950408889634

N_RADIUS, N_ANGLE = 72, 128

#: Range of ln(radius / disk scale).
LOG_RADII = (float(np.log(0.05)), float(np.log(12.0)))


@dataclass(frozen=True, eq=False)
class DiskStructure:
    """Factors (n, channel, radius, angle) of mean 1 that turn by 1 / tan(pitch), with the spin."""

    factors: torch.Tensor
    cotangent: torch.Tensor
    spin: torch.Tensor


def _upsampled(noise: torch.Tensor, times: tuple[int, int]) -> torch.Tensor:
    """Interpolate noise to a finer lattice, periodic in the second axis."""
    ty, tx = times
    padded = torch.cat([noise[..., -1:], noise, noise[..., :1]], dim=-1)
    fine = torch.nn.functional.interpolate(
        padded, scale_factor=(float(ty), float(tx)), mode="bilinear", align_corners=False
    )
    return fine[..., tx:-tx]


def _step(x: torch.Tensor) -> torch.Tensor:
    # torch.sigmoid rounds differently at the end of an array, so in another batch.
    return 1.0 / (1.0 + torch.exp(-x))


def draw_structure(
    parameters: dict[str, torch.Tensor], stream: Stream, prefix: str = ""
) -> DiskStructure:
    """Make the structure of disks."""
    device = stream.device
    log_radius = torch.linspace(*LOG_RADII, N_RADIUS, device=device)[:, None]
    radius = torch.exp(log_radius)
    psi = (torch.arange(N_ANGLE, device=device) * (2.0 * np.pi / N_ANGLE))[None, :]

    def p(name: str) -> torch.Tensor:
        return parameters[name][:, None, None]

    linked = p("linked")
    # Irregular galaxies have no differential rotation to speak of, and no arms.
    cotangent = parameters["pitch"].cos() / parameters["pitch"].sin()
    cotangent = cotangent * (1.0 - 0.85 * parameters["irregular"])
    turn = cotangent[:, None, None]
    coarse = stream.normal_field(prefix + "arm noise", (2, 9, 16))
    coarse = _upsampled(coarse, (8, 8))
    wiggle, strength = 0.9 * coarse[:, 0], torch.exp(0.7 * coarse[:, 1] - 0.15)
    medium = stream.normal_field(prefix + "floccules", (1, 18, 32))
    medium = _upsampled(medium, (4, 4))[:, 0] * 1.5
    fine = stream.normal_field(prefix + "fine floccules", (2, 36, 64))
    fine = _upsampled(fine, (2, 2)) * 1.5
    finest = stream.normal_field(prefix + "clumps", (1, N_RADIUS, N_ANGLE))[:, 0]

    # Arms begin outside the bulge or at the bar's end and fade outwards.
    inner = torch.maximum(p("bar_length") / p("disk_scale") * 0.8 * (p("bar_fraction") > 0.02),
                          0.45 + p("bulge_fraction"))  # fmt: skip
    envelope = _step((radius - inner) * 6.0) * _step((4.2 - radius) * 1.5)
    phase = p("n_arms") * psi - p("arm_phase") + wiggle
    sharpness = p("arm_width") * _LOG2_E
    shape = envelope * strength
    arms = torch.exp2(sharpness * (torch.cos(phase) - 1.0)) * shape
    # Young stars lie downstream of the gas and dust they were born in.
    lag = torch.exp2(1.5 * sharpness * (torch.cos(phase + 0.35) - 1.0)) * shape

    angle = psi + turn * log_radius
    around = torch.cos(angle - p("lopsided_angle"))
    lopsided = p("lopsided") * around * (0.5 * radius).clamp(max=1.0)
    # Tidal arms: open, beyond two scale lengths.
    tidal_phase = p("tidal_arms") * (angle - 0.9 * log_radius - p("tidal_angle"))
    tidal = (p("tidal") > 0) * 2.2 * torch.exp2(1.6 * _LOG2_E * (torch.cos(tidal_phase) - 1.0))
    tidal = tidal * _step((radius - 2.2) * 3.0)
    common = lopsided + tidal

    gas_arms = p("arm_gas") * 1.6 * arms
    if "free_pitch" in parameters:
        free_turn = 1.0 / torch.tan(p("free_pitch"))
        free = psi + (turn - free_turn) * log_radius
        free_arms = torch.exp(
            2.0 * (torch.cos(p("free_arms") * free - p("free_arm_phase") + wiggle) - 1.0)
        )
        free_arms = p("free_arm_gas") * 1.6 * free_arms
        gas_arms = torch.where(linked > 0, gas_arms, free_arms)
        lag = torch.where(linked > 0, lag, free_arms / p("arm_gas").clamp(min=0.05) / 1.6)
    floccules = p("floccules") * (0.75 * medium + 0.65 * fine[:, 0])
    old = 2.2 * p("arm_old") * arms + common + 0.03 * medium
    shared = torch.where(linked > 0, common, torch.zeros_like(common))
    h2 = gas_arms + floccules + shared + 0.35 * p("clumps") * fine[:, 1]
    sfr100 = h2 + 0.7 * p("clumps") * fine[:, 1]
    young_arms = p("arm_gas") * 2.0 * lag
    sfr10 = young_arms + floccules + shared + p("clumps") * (1.1 * fine[:, 1] + 1.1 * finest)
    hi = 0.5 * gas_arms + 0.5 * floccules + shared
    # Powers of 2 are three times faster than those of e on a CPU; see `_PIECE` in render.py.
    factors = torch.stack([old, h2, sfr100, sfr10, hi], dim=1).mul_(_LOG2_E).exp2_()
    factors = factors / factors.mean(dim=-1, keepdim=True)
    return DiskStructure(factors=factors, cotangent=cotangent, spin=parameters["spin"])


def sample_structure(
    structure: DiskStructure, x: torch.Tensor, y: torch.Tensor, radius: torch.Tensor
) -> torch.Tensor:
    """Return factors (n, channel, p, q) at places (n, p, q) in the plane of disks."""
    log_radius = torch.log(radius)
    angle = torch.atan2(y, x) * structure.spin[:, None, None]
    psi = angle - structure.cotangent[:, None, None] * log_radius
    turns = torch.remainder(psi / (2.0 * np.pi), 1.0)
    # One column is repeated at the end, so that sampling wraps around.
    padded = torch.cat([structure.factors, structure.factors[..., :1]], dim=-1)
    low, high = LOG_RADII
    row = (log_radius - low) * (2.0 / (high - low)) - 1.0
    grid = torch.stack([turns * 2.0 - 1.0, row], dim=-1)
    return torch.nn.functional.grid_sample(
        padded, grid, mode="bilinear", padding_mode="border", align_corners=True
    )
